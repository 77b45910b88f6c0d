#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what providers say in their own ways: which errors go to the next
# key, and what becomes of the key.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my @cases = (

	# provider, status, headers, body, another key, state of the first

	['gemini', 400, [], '[{"error":{"code":400,"status":"INVALID_ARGUMENT",'
		. '"message":"m","details":[{"reason":"API_KEY_INVALID"}]}}]',
		1, 'finished'],
	['gemini', 400, [], '{"error":{"code":400,"status":"INVALID_ARGUMENT",'
		. '"message":"Request contains an invalid argument."}}', 0, 'usable'],
	['gemini', 429, [], '{"error":{"code":429,"status":"RESOURCE_EXHAUSTED",'
		. '"details":[{"violations":[{"quotaId":"XPerMinuteY"}]},'
		. '{"retryDelay":"26s"}]}}', 1, 'cooling'],
	['openai', 429, [], '{"error":{"code":"insufficient_quota"}}',
		1, 'finished'],
	['openai', 400, [], '{"error":{"code":"insufficient_quota"}}',
		0, 'usable'],
	['groq', 413, ['Retry-After' => 9],
		'{"error":{"code":"rate_limit_exceeded"}}', 0, 'usable'],
	['xai', 403, [], '{"code":"Some resource has been exhausted","error":'
		. '"Your team x has either used all available credits or"}',
		1, 'finished'],
	['together_ai', 403, [], '{"error":{"message":"too long"}}', 0, 'usable'],
	['dashscope', 429, [], '{"error":{"code":"insufficient_quota"}}',
		1, 'cooling'],
	['cerebras', 429, ['x-should-retry' => 'false'],
		'{"message":"m","code":"queue_exceeded","param":"queue"}',
		1, 'cooling'],
	['moonshot', 429, [], '{"error":{"type":"exceeded_current_quota_error"}}',
		1, 'finished'],
	['novita', 403, [], '{"code":403,"reason":"NOT_ENOUGH_BALANCE"}',
		1, 'finished'],
	['openrouter', 402, [], '{"error":{"code":402,"metadata":'
		. '{"reason":"in_flight_budget_exhausted"}}}', 1, 'cooling'],
	['deepseek', 501, [], '{"error":{}}', 1, 'usable'],
);

my $http = '';

for my $n (0 .. $#cases) {
	$http .= "upstream up-$n { llm_provider $cases[$n][0] "
		. "base=http://127.0.0.1:8081/v1; llm_key case-$n; "
		. "llm_key good backup; }\n";
}

my $t = LLMTest->new()->balancer(http => $http);

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	return { json => { ok => 1 } } if $request->{key} !~ /case-(\d+)/;
	my $case = $cases[$1];
	return { status => $case->[1], headers => [@{$case->[2]}],
		body => $case->[3] };
});

$t->run()->plan(3 * @cases);

###############################################################################

for my $n (0 .. $#cases) {
	my ($provider, $status, $headers, $body, $another, $state) = @{$cases[$n]};

	$up->clear();

	my $r = chat("up-$n/x");

	is($r->{status}, $another ? 200 : $status, "$provider, $status, $n");
	is(scalar $up->requests(), $another ? 2 : 1, 'tries');

	my ($key) = grep { $_->{key} eq "up-$n-1" }
		map { @{$_->{healthy_endpoints}}, @{$_->{unhealthy_endpoints}} }
		json(get('/health'));

	is($key->{state}, $state, 'state');
}

###############################################################################
