#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for every provider of the catalogue by the environment: its variables, its
# path, its key.

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

# provider, path of a chat, header of the key, path of the base URL it has

my @providers = map { [split ' '] } grep { /\S/ } split /\n/, <<'EOF';

    openai             /v1/chat/completions                    bearer  /v1
    gemini             /v1beta/openai/chat/completions         bearer  /v1beta
    mistral            /v1/chat/completions                    bearer
    openrouter         /api/v1/chat/completions                bearer  /api/v1
    anthropic          /v1/chat/completions                    bearer
    azure              /openai/v1/chat/completions             api-key
    groq               /openai/v1/chat/completions             bearer  /openai/v1
    deepseek           /v1/chat/completions                    bearer  /v1
    xai                /v1/chat/completions                    bearer  /v1
    together_ai        /v1/chat/completions                    bearer  /v1
    fireworks_ai       /inference/v1/chat/completions          bearer  /inference/v1
    perplexity         /chat/completions                       bearer
    cerebras           /v1/chat/completions                    bearer  /v1
    cohere             /compatibility/v1/chat/completions      bearer
    nvidia_nim         /v1/chat/completions                    bearer  /v1
    sambanova          /v1/chat/completions                    bearer  /v1
    deepinfra          /v1/openai/chat/completions             bearer  /v1/openai
    huggingface        /v1/chat/completions                    bearer  /v1
    moonshot           /v1/chat/completions                    bearer  /v1
    zai                /api/paas/v4/chat/completions           bearer  /api/paas/v4
    dashscope          /compatible-mode/v1/chat/completions    bearer  /compatible-mode/v1
    minimax            /v1/chat/completions                    bearer  /v1
    novita             /v3/openai/chat/completions             bearer  /v3/openai
    hyperbolic         /v1/chat/completions                    bearer  /v1
    nebius             /v1/chat/completions                    bearer  /v1
    vercel_ai_gateway  /v1/chat/completions                    bearer  /v1
    github             /inference/chat/completions             bearer  /inference
    ollama             /v1/chat/completions                    bearer
    hosted_vllm        /v1/chat/completions                    bearer  /v1
    lm_studio          /v1/chat/completions                    bearer  /v1
    litellm_proxy      /v1/chat/completions                    bearer
    meta_llama         /compat/v1/chat/completions             bearer  /compat/v1
    ai21_chat          /studio/v1/chat/completions             bearer  /studio/v1
    friendliai         /serverless/v1/chat/completions         bearer  /serverless/v1
    volcengine         /api/v3/chat/completions                bearer  /api/v3
    codestral          /v1/chat/completions                    bearer
    scaleway           /v1/chat/completions                    bearer  /v1
    chutes             /v1/chat/completions                    bearer  /v1
    poe                /v1/chat/completions                    bearer  /v1
    nano-gpt           /api/v1/chat/completions                bearer  /api/v1
    veniceai           /api/v1/chat/completions                bearer  /api/v1
    publicai           /v1/chat/completions                    bearer  /v1
    aihubmix           /v1/chat/completions                    bearer  /v1

EOF

# LiteLLM's own names that are not the provider's name and _API_KEY

my %keys = (gemini => 'GOOGLE_API_KEY', openrouter => 'OR_API_KEY',
	together_ai => 'TOGETHERAI_API_KEY', fireworks_ai => 'FIREWORKS_AI_TOKEN',
	perplexity => 'PERPLEXITYAI_API_KEY', cohere => 'CO_API_KEY',
	huggingface => 'HF_TOKEN', meta_llama => 'LLAMA_API_KEY',
	ai21_chat => 'AI21_API_KEY', friendliai => 'FRIENDLI_TOKEN',
	scaleway => 'SCW_SECRET_KEY', 'nano-gpt' => 'NANOGPT_API_KEY',
	veniceai => 'VENICE_AI_API_KEY');

my %bases = (openai => 'OPENAI_BASE_URL', anthropic => 'ANTHROPIC_BASE_URL',
	mistral => 'MISTRAL_AZURE_API_BASE', meta_llama => 'LLAMA_API_BASE',
	ai21_chat => 'AI21_API_BASE', friendliai => 'FRIENDLI_API_BASE',
	'nano-gpt' => 'NANOGPT_API_BASE', veniceai => 'VENICE_AI_API_BASE',
	fireworks_ai => 'FIREWORKS_API_BASE');

for my $p (@providers) {
	my ($name, undef, undef, $path) = @$p;
	my $NAME = uc $name =~ s/-/_/gr;

	$ENV{$NAME . '_API_KEYS'} = "key-$name-1, key-$name-2";
	$ENV{$keys{$name} || $NAME . '_API_KEY'} = "key-$name-3";
	$ENV{$bases{$name} || $NAME . '_API_BASE'} = 'http://127.0.0.1:'
		. port(8081) . ($path || '');
}

$t->balancer(http => 'llm_providers env;');

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	return { json => {} };
});

$t->run()->plan(5 * @providers + 1);

###############################################################################

for my $p (@providers) {
	my ($name, $path, $auth) = @$p;

	$up->clear();

	is(chat("$name/vendor/model")->{status}, 200, $name);

	my $seen = $up->last_request();

	is($seen->{path}, $path, "$name, path");
	is(json($seen)->{model}, 'vendor/model', "$name, model");
	is($seen->{headers}{$auth eq 'bearer' ? 'authorization' : $auth},
		($auth eq 'bearer' ? 'Bearer ' : '') . "key-$name-1", "$name, key");

	chat("$name/vendor/model") for 1 .. 2;
	is(join(' ', $up->keys_used()), "key-$name-1 key-$name-2 key-$name-3",
		"$name, all keys");
}

is(scalar(grep { /^\s+\.name = /} split /\n/, do {
	local (@ARGV, $/) = "$LLMTest::ROOT/src/ngx_http_llm_catalog.c"; <> }),
	@providers + 1, 'none is missing here');

###############################################################################
