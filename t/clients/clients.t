#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for real clients, against providers that refuse what the real ones
# refuse, with one key of two out of requests.

###############################################################################

use warnings;
use strict;

use Test::More;
use Time::HiRes qw/time/;

BEGIN { use FindBin; chdir("$FindBin::Bin/.."); }

use lib qw/lib clients/;
use LLMTest;
use LLMUpstream;
use LLMProviders;

###############################################################################

my $dir = "$LLMTest::ROOT/objs/clients";

BAIL_OUT("no packages in $dir, run make clients")
	unless -e "$dir/.python" && -e "$dir/.node";

# what the steps of a package return

sub steps {
	my ($name, %more) = @_;
	my $text = "Gr\x{fc}\x{df}e, $name";

	return { chat => $text, stream => $text, tools => "look_up K\x{f6}ln",
		embeddings => [[0, 0.5], [1, 0.5]], %more };
}

my $audio = "Gr\x{fc}\x{df}e";

my $openai = steps('openai', audio => $audio, upload => 'file-openai',
	list => 'gpt-4o', files => 'file-openai', metadata =>
	"Gr\x{fc}\x{df}e, openai");

my $google = steps('gemini', upload => 'files/gemini',
	list => 'models/gemini-model');

my $anthropic = steps('anthropic', list => 'claude-sonnet-4-5',
	upload => 'file_a', models => 'anthropic-model');
delete $anthropic->{embeddings};

my $litellm = steps('openai', audio => $audio, upload => 'file-openai',
	list => 'file-openai', responses => "Gr\x{fc}\x{df}e, openai");
delete $litellm->{chat};

# what OpenHands sends, and who gets it

my %openhands = (
	'openai/gpt-4o' => 'openai',
	'gemini/gemini-2.5-pro' => 'gemini',
	'mistral/mistral-large-latest' => 'mistral',
	'openrouter/openai/gpt-4o' => 'openrouter',
	'openrouter/anthropic/claude-sonnet-4' => 'openrouter',
	'anthropic/claude-sonnet-4-5' => 'anthropic',
	'litellm_proxy/gpt-4o' => 'openai',
	'litellm_proxy/openai/gpt-4o' => 'openai',
	'litellm_proxy/gemini/gemini-2.5-flash' => 'gemini',
	'litellm_proxy/mistral/mistral-large-latest' => 'mistral',
	'litellm_proxy/openrouter/openai/gpt-4o' => 'openrouter',
	'litellm_proxy/anthropic/claude-sonnet-4-5' => 'anthropic',
);

for my $model (keys %openhands) {
	$litellm->{"$model $_"} = "Gr\x{fc}\x{df}e, $openhands{$model}"
		for '', '/', '/v1';
}

# what its retries depend on

$litellm->{"error $_->[0]"} = $_->[1] for
	['cohere/command-r', 'RateLimitError'],
	['xai/grok-4', 'ServiceUnavailableError'],
	['deepseek/deepseek-chat', 'AuthenticationError'],
	['nobody-knows', 'NotFoundError'],
	['gpt-4o', 'ContextWindowExceededError'];

my @python = ("$dir/venv/bin/python", "$LLMTest::ROOT/t/clients/client.py");
my @old = ("$dir/venv-1.77.7/bin/python", $python[1]);
my @node = ('node', "$dir/client.mjs");

my @clients = (
	['litellm 1.77.7', [@old, 'litellm'], $litellm],
	['litellm', [@python, 'litellm'], $litellm],
	['openai, PyPI', [@python, 'openai'],
		{ %$openai, gemini => "Gr\x{fc}\x{df}e, gemini" }],
	['anthropic, PyPI', [@python, 'anthropic'], $anthropic],
	['google-genai', [@python, 'google'], $google],
	['mistralai', [@python, 'mistral'], steps('mistral', upload =>
		'file-mistral', list => 'file-mistral')],
	['groq', [@python, 'groq'], steps('groq', audio => $audio, list =>
		'groq-model')],
	['openai, npm', [@node, 'openai'], $openai],
	['anthropic, npm', [@node, 'anthropic'], $anthropic],
	['@google/genai', [@node, 'google'], $google],
	['ai', [@node, 'ai'], steps('mistral')],
);

@clients = grep { $_->[0] =~ /$ENV{CLIENTS}/ } @clients if $ENV{CLIENTS};

my $t = LLMTest->new();
my ($up, $env) = LLMProviders::start($t);

$ENV{$_} = $env->{$_} for keys %$env;

$ENV{LLM_DEFAULT_UPSTREAM} = 'openai';
$ENV{DEEPSEEK_API_KEYS} = 'sk-a,sk-b';
$ENV{DEEPSEEK_API_BASE} = 'http://127.0.0.1:' . port(8087);
$ENV{XAI_API_KEYS} = 'sk-a';
$ENV{XAI_API_BASE} = 'http://127.0.0.1:' . port(8088) . '/v1';
$ENV{COHERE_API_KEYS} = 'sk-a,sk-b';
$ENV{COHERE_API_BASE} = 'http://127.0.0.1:' . port(8089) . '/v1';

LLMUpstream->start($t, 8087, sub {
	return { status => 401, json => { error => { message => 'Authentication '
		. 'Fails, Your api key is invalid', type => 'authentication_error',
		code => 'invalid_request_error' } } } });

LLMUpstream->start($t, 8089, sub {
	return { status => 429, headers => ['Retry-After' => 20], json =>
		{ message => 'Trial key is limited to 10 calls a minute' } } });

$t->balancer(http => '    llm_providers env;',
	server => 'llm_client_key sk-master;');

my $n = 0;
$n += 3 + keys %{$_->[2]} for @clients;

$t->run()->plan($n);

###############################################################################

delete $ENV{$_} for keys %$env;

local $ENV{LLM_BASE_URL} = 'http://127.0.0.1:' . port(8080);
local $ENV{LLM_API_KEY} = 'sk-master';
local $ENV{LITELLM_LOCAL_MODEL_COST_MAP} = 'True';
local $ENV{NO_PROXY} = '127.0.0.1';
local $ENV{MODELS} = join ' ', sort keys %openhands;

my $names = join '|', keys %$up;

for my $client (@clients) {
	my ($name, $command, $expect) = @$client;

	# a second after the client before, the keys that fail are tried again

	wait_for(sub { !grep { $_->{key} =~ /^($names)-/ }
		@{json(get('/health', key => 'sk-master'))->{unhealthy_endpoints}} });

	$_->clear() for values %$up;

	my $begin = time();
	my $out = `@$command 2>&1`;
	my $r = json((split /\n/, $out)[-1]);      # warnings come first

	ok($r, "$name, ran to its end") or diag($out);
	note(sprintf "%s: %.1f s", $name, time() - $begin);

	for my $step (sort keys %$expect) {
		my ($got, $want) = ($r->{$step}, $expect->{$step});

		# lists have more in them

		$got = $want if ref $got && !ref $want && grep { $_ eq $want } @$got;

		is_deeply($got, $want, "$name, $step");
	}

	my @keys = map { $_->keys_used() } values %$up;

	ok(scalar(grep { /limited/ } @keys), "$name, a key that fails");
	ok(scalar(grep { /good/ } @keys), "$name, one that does not");
}

###############################################################################
