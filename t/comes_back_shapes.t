#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the shape of our errors on the paths of each kind of provider.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF');

    upstream anthropic {
        llm_provider anthropic base=http://127.0.0.1:8082;
        llm_key sk-1;
    }

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8082;
        llm_key sk-2;
    }

EOF

$t->run()->plan(14);

###############################################################################

my $r = post('/v1/messages', '{"model":"claude-x","messages":[]}');
my $j = json($r);

is($r->{status}, 503, 'Anthropic, status');
is($j->{type}, 'error', 'Anthropic, type');
is($j->{error}{type}, 'overloaded_error', 'Anthropic, error type');
ok($j->{error}{message}, 'Anthropic, message');

$j = json(post('/v1/messages', '{"model":'));
is($j->{error}{type}, 'invalid_request_error', 'Anthropic, wrong body');

$j = json(post('/v1/messages', '{"model":"x"}', key => 'wrong'));
is($j->{error}{type}, 'authentication_error', 'Anthropic, wrong key');

$r = post('/v1beta/models/gemini-2.5-pro:generateContent', '{}');
$j = json($r);

is($r->{status}, 503, 'Gemini, status');
is($j->{error}{code}, 503, 'Gemini, code');
is($j->{error}{status}, 'UNAVAILABLE', 'Gemini, error status');
ok($j->{error}{message}, 'Gemini, message');

$j = json(post('/models/gemini-2.5-pro:generateContent', '['));
is($j->{error}{status}, 'INVALID_ARGUMENT', 'Gemini, wrong body');

$r = chat('unknown"model\\');
$j = json($r);

is($r->{status}, 404, 'OpenAI, unknown model');
is($j->{error}{code}, 'model_not_found', 'OpenAI, code');
like($j->{error}{message}, qr/"unknown"model\\"/, 'OpenAI, it names the model');

###############################################################################
