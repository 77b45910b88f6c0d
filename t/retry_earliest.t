#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what is said when no key is left: the earliest return in the whole
# chain, and a limit is not taken for something that lasts.

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

    upstream soon {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-30;
    }

    upstream late {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-3000;
    }

    upstream picky {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-ok models=other;
    }

    upstream mixed {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_key sk-3000,sk-401;
    }

    llm_model chain  soon/x late/x;
    llm_model chain2 late/x picky/x;

EOF

LLMUpstream->start($t, $_, sub {
	my ($request) = @_;
	my ($n) = $request->{key} =~ /sk-(\d+)/ or return { json => {} };
	return { status => 401, json => { error => { message => 'no' } } }
		if $n == 401;
	return { status => 429, headers => ['Retry-After' => $n], json => {} };
}) for 8081, 8082;

$t->run()->plan(10);

###############################################################################

chat('chain');
my $r = chat('chain');
is($r->{status}, 429, 'all limited');
ok($r->{headers}{'retry-after'} <= 30 && $r->{headers}{'retry-after'} > 25,
	'the earliest');

$r = chat('chain2');
is($r->{status}, 429, 'not 404 because of the last');
ok($r->{headers}{'retry-after'} > 2900, 'when');

is(chat('picky/x')->{status}, 404, 'no key for the model');

# a refused key and a limited one

isnt(chat('mixed/x')->{status}, 401, 'limited, not refused');

$r = chat('mixed/x');
is($r->{status}, 429, 'the same while they are out');
ok($r->{headers}{'retry-after'} <= 60, 'the refused one is back first');
is($r->{headers}{'x-should-retry'}, 'false', 'no use to try at once');
is(json($r)->{error}{code}, 'rate_limit_exceeded', 'code');

###############################################################################
