#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for nobody there, and a time-out: what is tried again and what is not.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(instead => 'proxy_connect_timeout 1s; proxy_read_timeout 1s;', http => <<'EOF');

    upstream gone {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_key sk-1,sk-2,sk-3;
    }

    upstream half {
        llm_provider custom base=http://half.example/v1;
        server 127.0.0.1:8082;
        server 127.0.0.1:8081;
        llm_key sk-1,sk-2,sk-3;
    }

    upstream slow {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2,sk-3;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	return $request->{body} =~ /wait/ ? { wait => 30 } : { json => {} };
});

$t->run()->plan(11);

###############################################################################

my $r = chat('gone/x');

is($r->{status}, 503, 'nobody there');
is(json($r)->{error}{type}, 'server_error', 'type');
is(scalar(() = $t->read_file('error.log') =~ /connect\(\) failed/g), 1,
	'another key would not help');

# an address that does not answer gives way to the others

is(chat('half/x')->{status}, 200, 'another address') for 1 .. 4;
is($up->last_request()->{headers}{host}, 'half.example',
	'under the name of the base URL');

# the answer that did not come was probably made, and billed

$up->clear();

$r = chat('slow/x', text => 'wait');
is($r->{status}, 504, 'no answer in time');
is(scalar $up->requests(), 1, 'is not asked for again');
is(json(get('/health'))->{unhealthy_count}, 0, 'and no key is to blame');

###############################################################################
