#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for an upstream of several addresses, some of which are dead: that is
# no fault of a key, so the same one goes on to the next address.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF');

    upstream single {
        llm_provider custom base=http://half.example/v1;
        server 127.0.0.1:8082 max_fails=0;
        server 127.0.0.1:8083 max_fails=0;
        server 127.0.0.1:8081;
        llm_key sk-1;
    }

    upstream keyless {
        llm_provider custom base=http://half.example/v1 auth=none;
        server 127.0.0.1:8082 max_fails=0;
        server 127.0.0.1:8081;
    }

    upstream dead {
        llm_provider custom base=http://dead.example/v1;
        server 127.0.0.1:8082;
        server 127.0.0.1:8083;
        llm_key sk-1,sk-2,sk-3;
    }

    upstream down {
        llm_provider custom base=http://no.such.host.invalid/v1;
        llm_key sk-1;
    }

    llm_model chain   dead/x single/x;
    llm_model chain2  down/x single/x;

EOF

my $up = LLMUpstream->start($t, 8081, sub { { json => {} } });

$t->run()->plan(14);

###############################################################################

is(chat('single/x')->{status}, 200, "one key, request $_") for 1 .. 3;
is(chat('keyless/x')->{status}, 200, "no key, request $_") for 1 .. 3;

is(chat('dead/x')->{status}, 503, 'all dead');
is(scalar(() = $t->read_file('error.log') =~ /upstream: "http:\/\/[\d.:]+\/v1\S*", host/g) > 0, 1,
	'addresses are logged');
is(chat('chain')->{status}, 200, 'then the next upstream');

# a name that was not found at the start

my $r = chat('down/x');
is($r->{status}, 503, 'not resolved');
is(json($r)->{error}{code}, 'provider_unresolved', 'code');
is(chat('chain2')->{status}, 200, 'the next upstream');

my ($down) = grep { $_->{model} eq 'down/*' }
	@{json(get('/health'))->{unhealthy_endpoints}};
is($down->{state}, 'down', 'health');
ok($t->logged(qr/host not found "no.such.host.invalid" in base URL of upstream "down", which is down until it is found/), 'log');

###############################################################################
