#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what OpenHands sends for each prefix of LLM_MODEL and each form of
# LLM_BASE_URL, with keys of all these providers: the right account gets it,
# and errors are such that its retries do what they should.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib qw/lib clients/;
use LLMTest;
use LLMUpstream;
use LLMProviders;

###############################################################################

my $t = LLMTest->new();
my ($up, $env) = LLMProviders::start($t);

$ENV{$_} = $env->{$_} for keys %$env;

$ENV{DEEPSEEK_API_KEYS} = 'sk-a,sk-b';
$ENV{DEEPSEEK_API_BASE} = 'http://127.0.0.1:' . port(8087);
$ENV{XAI_API_KEYS} = 'sk-a';
$ENV{XAI_API_BASE} = 'http://127.0.0.1:' . port(8088) . '/v1';
$ENV{COHERE_API_KEYS} = 'sk-a,sk-b';
$ENV{COHERE_API_BASE} = 'http://127.0.0.1:' . port(8089) . '/v1';

my $refusing = LLMUpstream->start($t, 8087, sub {
	return { status => 401, json => { error => { message => 'Authentication '
		. 'Fails, Your api key is invalid', type => 'authentication_error',
		code => 'invalid_request_error' } } } });

my $limited = LLMUpstream->start($t, 8089, sub {
	return { status => 429, headers => ['Retry-After' => 20], json =>
		{ message => 'Trial key is limited to 10 calls a minute' } } });

$t->balancer(http => '    llm_providers env;',
	server => 'llm_client_key sk-master;');

my $system = '{"content":[{"type":"text","text":"You are OpenHands."}],'
	. '"role":"system"}';
my $user = '{"content":"Hello","role":"user"}';
my $tools = '"tools":[{"type":"function","function":{"name":"look_up",'
	. '"parameters":{"type":"object"}}}]';
my $metadata = '"metadata":{"session_id":"s-1","trace_version":"0.59.0",'
	. '"trace_user_id":null,"tags":["model:x","agent:CodeActAgent"]}';
my $openai = '"max_completion_tokens":100,"temperature":0.0,' . $tools
	. ',"top_p":1.0';
my $httpx = '"temperature": 0.0, "max_tokens": 100, ' . $tools;
my $gemini = '{"contents":[{"role":"user","parts":[{"text":"Hello"}]}],'
	. '"system_instruction":{"parts":[{"text":"You are OpenHands."}]},'
	. '"generationConfig":{"temperature":0.0,"max_output_tokens":100,'
	. '"thinkingConfig":{"thinkingBudget":128}}}';
my $anthropic = '{"model": "claude-sonnet-4-5", "messages": [{"role": "user",'
	. ' "content": [{"type": "text", "text": "Hello"}]}], "max_tokens": 100,'
	. ' "metadata": {"user_id": "u"}, "system": [{"type": "text", "text":'
	. ' "You are OpenHands."}]}';

my %bearer = (key => 'sk-master');
my %router = (%bearer, headers => ['HTTP-Referer' => 'https://litellm.ai',
	'X-Title' => 'liteLLM']);

# LLM_MODEL; paths for LLM_BASE_URL bare, with "/" and with "/v1"; the body;
# how the key is presented; who gets it, and where

my @chat = ('/chat/completions', '/chat/completions', '/v1/chat/completions');
my @compat = ('/chat/completions', '//chat/completions',
	'/v1/chat/completions', '/v1//chat/completions');

my @cases = (
	['openai/gpt-4o', \@compat,
		"{\"messages\":[$system,$user],\"model\":\"gpt-4o\",$openai}",
		\%bearer, 'openai', '/v1/chat/completions'],
	['gemini/gemini-2.5-pro, 1.77.7', [map { "$_/gemini-2.5-pro:"
		. 'generateContent' } '/models', '//models', '/v1/models',
		'/v1beta/models'], $gemini, \%bearer, 'gemini',
		'/v1beta/models/gemini-2.5-pro:generateContent'],
	['gemini/gemini-2.5-pro, newer', [map { "$_/gemini-2.5-pro:"
		. 'generateContent' } '/models', '//models', '/v1/models',
		'/v1/v1beta/models'], $gemini,
		{ key => '', headers => ['x-goog-api-key' => 'sk-master'] }, 'gemini',
		'/v1beta/models/gemini-2.5-pro:generateContent'],
	['mistral/mistral-large-latest', ['/v1/chat/completions',
		'//v1/chat/completions', '/v1/chat/completions',
		'/v1//v1/chat/completions'],
		"{\"model\": \"mistral-large-latest\", \"messages\": [$user], $httpx}",
		\%bearer, 'mistral', '/v1/chat/completions'],
	['openrouter/openai/gpt-4o', \@chat,
		"{\"model\": \"openai/gpt-4o\", \"messages\": [$user], $httpx,"
		. ' "usage": {"include": true}}', \%router, 'openrouter',
		'/api/v1/chat/completions'],
	['openrouter/anthropic/claude-sonnet-4', \@chat,
		"{\"model\": \"anthropic/claude-sonnet-4\", \"messages\": [$user],"
		. " $httpx}", \%router, 'openrouter', '/api/v1/chat/completions'],
	['openrouter/mistral/x', \@chat,
		"{\"model\": \"mistral/x\", \"messages\": [$user], $httpx}",
		\%router, 'openrouter', '/api/v1/chat/completions'],
	(map { my ($model, $name, $path) = @$_;
		["litellm_proxy/$model", \@compat,
		"{\"messages\":[$system,$user],\"model\":\"$model\",$openai,$metadata}",
		\%bearer, $name, $path] }
		['gpt-4o', 'openai', '/v1/chat/completions'],
		['openai/gpt-4o', 'openai', '/v1/chat/completions'],
		['gemini-2.5-flash', 'gemini', '/v1beta/openai/chat/completions'],
		['gemini/gemini-2.5-flash', 'gemini',
			'/v1beta/openai/chat/completions'],
		['openrouter/anthropic/claude-sonnet-4', 'openrouter',
			'/api/v1/chat/completions'],
		['anthropic/claude-sonnet-4', 'anthropic', '/v1/chat/completions'],
		['qwen/qwen3-coder', 'openrouter', '/api/v1/chat/completions'],
		['groq/openai/gpt-oss-120b', 'groq', '/openai/v1/chat/completions']),
	['litellm_proxy/mistral/devstral-medium-latest', \@compat,
		"{\"messages\":[$user],\"model\":\"mistral/devstral-medium-latest\","
		. "$metadata}", \%bearer, 'mistral', '/v1/chat/completions'],
	(map { ["$_->[0], responses", ['/responses', '//responses',
		'/v1/responses'], "{\"model\": \"$_->[1]\", \"input\": [$user],"
		. ' "store": false, "include": ["reasoning.encrypted_content"],'
		. " \"tool_choice\": \"auto\", $_->[2]\"temperature\": 1.0}",
		\%bearer, 'openai', '/v1/responses'] }
		['openai/gpt-5', 'gpt-5', ''],
		['litellm_proxy/openai/gpt-5', 'openai/gpt-5', "$metadata, "]),
	['anthropic/claude-sonnet-4-5', ['/v1/messages', '//v1/messages',
		'/v1/v1/messages', '/v1//v1/messages'], $anthropic, { key => '',
		headers => ['x-api-key' => 'sk-master', 'anthropic-version' =>
		'2023-06-01', 'anthropic-beta' =>
		'interleaved-thinking-2025-05-14'] }, 'anthropic', '/v1/messages'],
);

my $n = 0;
$n += 3 * @{$_->[1]} for @cases;

$t->run()->plan($n + 38);

###############################################################################

for my $case (@cases) {
	my ($model, $uris, $body, $how, $name, $path) = @$case;

	for my $uri (@$uris) {
		$_->clear() for values %$up;

		my $r = post($uri, $body, %$how);

		is($r->{status}, 200, "$model at $uri") or diag($r->{body});
		is(join(' ', grep { $up->{$_}->requests() } sort keys %$up), $name,
			'its account');
		is($up->{$name}->last_request()->{path}, $path, 'its path');
	}
}

# metadata goes to those who take it

sub sent {
	my ($name, $model, $body) = @_;
	post('/chat/completions', "{\"messages\":[$user],$metadata,$body"
		. "\"model\":\"$model\"}", key => 'sk-master');
	return scalar $up->{$name}->last_request()->{body} =~ /"session_id"/;
}

ok(!sent('openai', 'gpt-4o', ''), 'no metadata for OpenAI');
ok(!sent('gemini', 'gemini/gemini-2.5-flash', ''), 'nor for Gemini');
ok(sent('mistral', 'mistral/devstral-medium-latest', ''), 'for Mistral');
ok(sent('openrouter', 'qwen/qwen3-coder', ''), 'for OpenRouter');

post('/chat/completions', "{\"messages\":[$user],\"model\":\"gpt-4o\","
	. '"store":true,"metadata":{"a":"b"}}', key => 'sk-master');
like($up->{openai}->last_request()->{body}, qr/"metadata":\{"a":"b"}/,
	'what OpenAI takes');

# the list that is asked for at the start: its statuses are not looked at, but
# a list of another form would be the end

for my $uri ('/v1/model/info', '//v1/model/info', '/v1/v1/model/info',
	'/v1//v1/model/info')
{
	my $r = get($uri, key => 'sk-master');
	my $data = json($r)->{data};

	is($r->{status}, 200, $uri);
	is(ref $data, 'ARRAY', 'a list');
	is(scalar(grep { !defined $_->{model_name}
		|| ref $_->{model_info} ne 'HASH'
		|| !defined $_->{litellm_params}{model} } @$data), 0, 'its entries');
	ok(scalar(grep { $_->{model_name} eq 'gpt-4o' } @$data), 'a name');
}

is(ref((json(get('/v1/model/info', key => 'None')) || {})->{data}), '',
	'without a key there is no list that could be misread');
is(ref json(get('/v1/model/info', key => 'None')), 'HASH', 'but JSON');

# errors: what LiteLLM makes of them is decided by their words first

sub error {
	my ($model, %o) = @_;
	my $r = post('/chat/completions', "{\"messages\":[{\"content\":\""
		. ($o{text} || 'Hello') . "\",\"role\":\"user\"}],\"model\":"
		. "\"$model\"}", key => $o{key} || 'sk-master');
	return ($r, json($r)->{error});
}

my ($r, $e) = error('cohere/command-r');
is($r->{status}, 429, 'the last key is limited');

($r, $e) = error('cohere/command-r');
is($r->{status}, 429, 'all keys are cooling: RateLimitError, retried');
like($r->{body}, qr/rate[\s_-]*limit/i, 'by its words, too');
is($e->{type}, 'rate_limit_error', 'its type');
ok($r->{headers}{'retry-after'} >= 1 && $r->{headers}{'retry-after'} <= 60,
	'for how long');

($r, $e) = error('xai/grok-4');
is($r->{status}, 503, 'no connection: ServiceUnavailableError, retried');
unlike($r->{body}, qr/rate[\s_-]*limit|invalid_request_error/i, 'its words');

($r, $e) = error('deepseek/deepseek-chat');
is($r->{status}, 401, 'refused keys: AuthenticationError, not retried');
is($e->{type}, 'authentication_error', 'its type');
unlike($r->{body}, qr/rate[\s_-]*limit|invalid_request_error/i, 'its words');

($r, $e) = error('gpt-4o', key => 'wrong');
is($r->{status}, 401, 'wrong key: AuthenticationError');
unlike($r->{body}, qr/rate[\s_-]*limit/i, 'its words');

($r, $e) = error('nobody-knows');
is("$r->{status} $e->{type} $e->{code}",
	'404 invalid_request_error model_not_found', 'unknown: NotFoundError');

($r, $e) = error('gpt-4o', text => 'too-long');
is($r->{status}, 400, 'too long: ContextWindowExceededError');
like($e->{message}, qr/maximum context length/, 'its words');

###############################################################################
