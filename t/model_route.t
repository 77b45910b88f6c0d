#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for which upstream a model goes to, with keys of many providers.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my @names = qw/openai anthropic gemini mistral openrouter groq/;
my %port = map { $names[$_] => 8081 + $_ } 0 .. $#names;

my %base = (openai => '/v1', groq => '/openai/v1', openrouter => '/api/v1');

my $t = LLMTest->new()->balancer(http => join('', map { <<EOF } @names)

    upstream $_ {
        llm_provider $_ base=http://127.0.0.1:$port{$_}@{[$base{$_} || '']};
        llm_key sk-$_;
    }

EOF
	. <<'EOF');

    llm_model  exact                 mistral;
    llm_model  gl*                   mistral;
    llm_model  glob-*                gemini;
    llm_model  glob-long-*           groq/llama;
    llm_model  *-tail                groq;
    llm_model  ~^re[0-9]$            openai/by-regex;
    llm_model  ~*^RE                 mistral/by-other-regex;
    llm_model  fast                  openai/gpt-4o-mini;
    llm_model  Case                  gemini;
    llm_model  openai/special        openrouter;
    llm_model  mistral/*             mistral;
    llm_model  default               openrouter;

EOF

my %up = map {
	my $name = $_;
	$name => LLMUpstream->start($t, $port{$_}, sub {
		return { json => { from => $name } } });
} @names;

$t->run();

###############################################################################

my @cases = (

	# model, where it goes, and under which name

	['gpt-4o', 'openai', 'gpt-4o'],
	['gpt-5.2-new', 'openai', 'gpt-5.2-new'],
	['chatgpt-4o-latest', 'openai', 'chatgpt-4o-latest'],
	['o3', 'openai', 'o3'],
	['text-embedding-3-small', 'openai', 'text-embedding-3-small'],
	['ft:gpt-4o:org::id', 'openai', 'ft:gpt-4o:org::id'],
	['claude-sonnet-4-5', 'anthropic', 'claude-sonnet-4-5'],
	['gemini-2.5-pro', 'gemini', 'gemini-2.5-pro'],
	['mistral-large-latest', 'mistral', 'mistral-large-latest'],
	['codestral-latest', 'mistral', 'codestral-latest'],
	['llama-3.3-70b-versatile', 'groq', 'llama-3.3-70b-versatile'],

	# a prefix

	['openai/gpt-4o', 'openai', 'gpt-4o'],
	['gemini/gemini-1.5-pro', 'gemini', 'gemini-1.5-pro'],
	['google/gemini-x', 'gemini', 'gemini-x'],
	['mistral/mistral-large-latest', 'mistral', 'mistral-large-latest'],
	['anthropic/claude-x', 'anthropic', 'claude-x'],
	['groq/openai/gpt-oss-120b', 'groq', 'openai/gpt-oss-120b'],
	['openrouter/openai/gpt-4o', 'openrouter', 'openai/gpt-4o'],
	['openrouter/auto', 'openrouter', 'openrouter/auto'],

	# others with a slash

	['meta-llama/llama-3', 'openrouter', 'meta-llama/llama-3'],
	['deepseek/deepseek-chat', 'openrouter', 'deepseek/deepseek-chat'],

	# rules, in the order of a map

	['exact', 'mistral', 'exact'],
	['globe', 'mistral', 'globe'],
	['glob-x', 'gemini', 'glob-x'],
	['glob-long-x', 'groq', 'llama'],
	['some-tail', 'groq', 'some-tail'],
	['re1', 'openai', 'by-regex'],
	['Real', 'mistral', 'by-other-regex'],
	['fast', 'openai', 'gpt-4o-mini'],
	['Case', 'gemini', 'Case'],
	['openai/special', 'openrouter', 'openai/special'],
	['case', 'openrouter', 'case'],
	['nobody-knows', 'openrouter', 'nobody-knows'],
);

plan(tests => 2 * @cases + 18 + 2);

for my $case (@cases) {
	my ($model, $where, $sent) = @$case;
	my $r = chat($model);

	is(json($r)->{from}, $where, "$model goes to $where") or diag($r->{body});
	is(json($up{$where}->last_request())->{model}, $sent, "as $sent");
}

# what libraries send to OpenRouter has a title

my $r = chat('openai/gpt-4o', headers => ['X-Title' => 'liteLLM']);
is(json($r)->{from}, 'openrouter', 'X-Title');
is(json($up{openrouter}->last_request())->{model}, 'openai/gpt-4o',
	'X-Title, as it was');

$r = chat('gpt-4o', headers => ['X-Title' => 'liteLLM']);
is(json($r)->{from}, 'openai', 'X-Title without a slash');

# a name in the path leaves no choice

$r = chat('gpt-4o', uri => '/mistral/v1/chat/completions');
is(json($r)->{from}, 'mistral', 'path');
is(json($up{mistral}->last_request())->{model}, 'gpt-4o', 'path, model');

$r = chat('mistral/x', uri => '/mistral/v1/chat/completions');
is(json($up{mistral}->last_request())->{model}, 'x', 'path and prefix');

# paths of one kind of provider

$r = post('/v1/messages', '{"model":"nobody-knows","messages":[]}');
is(json($r)->{from}, 'anthropic', 'messages');

$r = post('/v1beta/models/nobody-knows:generateContent', '{}');
is(json($r)->{from}, 'gemini', 'generateContent');
is($up{gemini}->last_request()->{path},
	'/v1beta/models/nobody-knows:generateContent', 'generateContent, path');

$r = post('/models/gemini/gemini-1.5-pro:generateContent', '{}');
is($up{gemini}->last_request()->{path},
	'/v1beta/models/gemini-1.5-pro:generateContent', 'prefix in the path');

# no model at all: the default

is(json(get('/v1/files'))->{error}{code}, 'unknown_path',
	'OpenRouter has no files');
is(json(get('/openai/v1/files'))->{from}, 'openai', 'files by the path');

$t->stop();

# without a default the model is named

$t->balancer(http => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1;
    }

    upstream mistral {
        llm_provider mistral base=http://127.0.0.1:8084;
        llm_key sk-2;
    }

EOF

$t->run();

$r = chat('nobody-knows');
is($r->{status}, 404, 'unknown model');
like(json($r)->{error}{message}, qr/"nobody-knows"/, 'which is named');
is(json($r)->{error}{code}, 'model_not_found', 'code');

$r = get('/v1/files');
is($r->{status}, 404, 'no model, no default');
like(json($r)->{error}{message}, qr!"/openai/v1/files"!, 'what to do');

is(chat('a/b')->{status}, 404, 'a slash without OpenRouter');

$t->stop();

###############################################################################
