#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for refused keys: out for a minute, and never shown to the client as its
# own.

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

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-bad-1,sk-good-2;
    }

    upstream groq {
        llm_provider groq base=http://127.0.0.1:8082/openai/v1;
        llm_key gsk-bad-1,gsk-bad-2;
    }

EOF

my ($openai, $groq) = map { LLMUpstream->start($t, $_, sub {
	my ($request) = @_;
	return LLMUpstream::refuses($request, keys => ['sk-good-2'])
		|| { json => {} };
}) } 8081, 8082;

$t->run()->plan(14);

###############################################################################

is(chat('gpt-4o')->{status}, 200, 'another key answered');
is(join(' ', $openai->keys_used()), 'sk-bad-1 sk-good-2', 'the next one');

my ($bad) = grep { $_->{key} eq 'openai-1' }
	@{json(get('/health'))->{unhealthy_endpoints}};

is($bad->{state}, 'finished', 'state');
ok($bad->{retry_after} > 55 && $bad->{retry_after} <= 60, 'for a minute');

$openai->clear();
chat('gpt-4o') for 1 .. 4;
is(scalar(grep { /bad/ } $openai->keys_used()), 0, 'not asked meanwhile');

# all of them: the client's own key is good

my $r = chat('groq/x');
is($r->{status}, 401, 'all refused');
is(join(' ', $groq->keys_used()), 'gsk-bad-1 gsk-bad-2', 'each was tried');
is(json($r)->{error}{type}, 'authentication_error', 'type');
like(json($r)->{error}{message}, qr/yours is valid/, 'message');
is($r->{headers}{'x-should-retry'}, 'false', 'no use to try again');

$groq->clear();
$r = chat('groq/x');
is($r->{status}, 401, 'and while they are out');
like(json($r)->{error}{message}, qr/yours is valid/, 'the same message');
is(scalar $groq->requests(), 0, 'nobody was asked');

ok($t->logged(qr/key "groq-2" of upstream "groq" is out for 60000ms: refused/),
	'log');

###############################################################################
