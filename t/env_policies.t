#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the policies that the environment sets: LLM_BALANCE, LLM_QUEUE and
# LLM_FALLBACKS.

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

%ENV = (%ENV, OPENAI_API_KEYS => 'sk-1', MISTRAL_API_KEYS => 'sk-2',
	OPENAI_API_BASE => 'http://127.0.0.1:' . port(8081) . '/v1',
	MISTRAL_API_BASE => 'http://127.0.0.1:' . port(8082) . '/v1');

$t->balancer(http => 'llm_providers env;');

sub config {
	local %ENV = (%ENV, @_);
	my ($out, $ok) = $t->test_config($t->read_file('nginx.conf'));
	return $ok ? 'ok' : $out;
}

plan(tests => 16);

###############################################################################

is(config(LLM_BALANCE => $_), 'ok', $_)
	for qw/ round_robin least_conn headroom affinity /;
like(config(LLM_BALANCE => 'random'), qr/invalid policy "random" in LLM_BAL/,
	'no policy');

is(config(LLM_QUEUE => $_), 'ok', "queue $_") for '15s,64', 'off';
like(config(LLM_QUEUE => $_), qr/invalid "\Q$_\E" in LLM_QUEUE/, "queue $_")
	for '15s', 'x,1', '1s,0';

like(config(LLM_FALLBACKS => 'fast'), qr/no upstream for "fast" in LLM_FALLB/,
	'no fallback');
like(config(LLM_FALLBACKS => 'fast nowhere/x'), qr/"nowhere"|nowhere/,
	'unknown upstream');

# the first provider limits, the second one answers

LLMUpstream->start($t, 8081, sub { { status => 429, headers =>
	['Retry-After' => 60], json => {} } });
my $mistral = LLMUpstream->start($t, 8082, sub { { json => {} } });

%ENV = (%ENV, LLM_QUEUE => '5s,8', LLM_FALLBACKS =>
	"fast openai/gpt-4o-mini mistral/mistral-small-latest;\n default mistral");

$t->run();

is(chat('fast')->{status}, 200, 'fallback');
like($mistral->last_request()->{body}, qr/mistral-small-latest/, 'its model');

###############################################################################
