#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for an upstream of the environment whose host is a name in the DNS: its
# connections are kept, and nothing is warned of.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMDNS;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new();

my $dns = LLMDNS->start($t, 'api.openai.test A 127.0.0.1 600');

%ENV = (%ENV, OPENAI_API_KEYS => 'sk-1,sk-2',
	OPENAI_API_BASE => 'http://api.openai.test:' . port(8081) . '/v1');

$t->write_file('bom', "\xef\xbb\xbfsk-m");

$ENV{MISTRAL_API_KEYS_FILE} = $t->testdir() . '/bom';
$ENV{MISTRAL_API_BASE} = 'http://127.0.0.1:' . port(8081) . '/v1';

$t->balancer(main => 'worker_processes 1;', http => <<"EOF");

    resolver ${\$dns->address()};

    llm_providers env;

EOF

my $up = LLMUpstream->start($t, 8081, sub { { json => {} } });

$t->run()->plan(9);

###############################################################################

is(chat('gpt-4o')->{status}, 200, "request $_") for 1 .. 6;

my %seen;
$seen{$_->{connection}}++ for $up->requests();
is(scalar keys %seen, 1, 'one connection');

unlike($t->read_file('error.log'), qr/balancing method of upstream/,
	'no warning');

chat('mistral/x');
is($up->last_request()->{key}, 'sk-m', 'a byte order mark is no part of a key');

###############################################################################
