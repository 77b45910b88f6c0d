#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for client keys that are not set: nobody gets in by accident.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new();

my %o = (http => <<'EOF', server => '');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-provider-1;
    }

EOF

$t->balancer(%o);

my $openai = LLMUpstream->start($t, 8081, sub { return { json => {} } });

plan(tests => 11);

###############################################################################

my $conf = $t->read_file('nginx.conf');

my ($out, $ok) = $t->test_config($conf);
ok(!$ok, 'no key, no start');
like($out, qr/no "llm_client_key" for location "\/"/, 'and why');

($out, $ok) = $t->test_config($conf, LLM_ALLOW_ANONYMOUS => '1');
ok($ok, 'unless that is meant');

($out, $ok) = $t->test_config($conf, LLM_ALLOW_ANONYMOUS => 'yes');
ok(!$ok, 'said exactly');

$t->balancer(%o, server => 'llm_client_key env:LITELLM_MASTER_KEY;');
$conf = $t->read_file('nginx.conf');

($out, $ok) = $t->test_config($conf);
ok(!$ok, 'a variable that is not set');

($out, $ok) = $t->test_config($conf, LITELLM_MASTER_KEY => '');
ok(!$ok, 'or empty');

# a directive says so as well

$t->balancer(%o, server => 'llm_client_key off;');
$t->run();

is(chat('gpt-4o', key => undef)->{status}, 200, 'anonymous');
is(chat('gpt-4o', key => 'anything')->{status}, 200, 'anonymous with a key');

is($openai->last_request()->{key}, 'sk-provider-1',
	'which does not get through');

$t->stop();

###############################################################################
