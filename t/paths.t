#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for paths that clients of LiteLLM send, and what they are called at the
# provider.

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
        llm_key k;
    }

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8081/v1beta/openai;
        llm_key k;
    }

    upstream anthropic {
        llm_provider anthropic base=http://127.0.0.1:8081;
        llm_key k;
    }

    upstream mistral {
        llm_provider mistral base=http://127.0.0.1:8081;
        llm_key k;
    }

    upstream groq {
        llm_provider groq base=http://127.0.0.1:8081/openai/v1;
        llm_key k;
    }

    upstream azure {
        llm_provider azure base=http://127.0.0.1:8081;
        llm_key k;
    }

    upstream moonshot {
        llm_provider moonshot base=http://127.0.0.1:8081/v1;
        llm_key k;
    }

    upstream ollama {
        llm_provider ollama base=http://127.0.0.1:8081;
        llm_key k;
    }

    upstream plain {
        llm_provider custom base=http://127.0.0.1:8081;
        llm_key k;
    }

    upstream deep {
        llm_provider custom base=http://127.0.0.1:8081/a/b/v9/;
        llm_key k;
    }

    llm_model default openai;

EOF

my $up = LLMUpstream->start($t, 8081, sub { return { json => {} } });

my @cases = (

	# client's path, model, path at the provider (0: refused)

	['/chat/completions', 'gpt-4o', '/v1/chat/completions'],
	['/v1/chat/completions', 'gpt-4o', '/v1/chat/completions'],
	['/v1/v1/chat/completions', 'gpt-4o', '/v1/chat/completions'],
	['/v1//v1/chat/completions', 'gpt-4o', '/v1/chat/completions'],
	['//v1//chat///completions', 'gpt-4o', '/v1/chat/completions'],
	['//chat/completions', 'gpt-4o', '/v1/chat/completions'],
	['/responses', 'gpt-4o', '/v1/responses'],
	['/v1/embeddings', 'text-embedding-3-small', '/v1/embeddings'],
	['/v1/images/generations', 'gpt-image-1', '/v1/images/generations'],
	['/engines/gpt-4o/chat/completions', '', '/v1/chat/completions'],
	['/openai/deployments/gpt-4o/chat/completions?api-version=1', '',
		'/v1/chat/completions'],
	['/chat/completions?a=b', 'gpt-4o', '/v1/chat/completions'],
	['/v1/chat/completions', 'gemini-2.5-pro',
		'/v1beta/openai/chat/completions'],
	['/v1beta/openai/chat/completions', 'gemini-2.5-pro',
		'/v1beta/openai/chat/completions'],
	['/models/gemini-1.5-pro:generateContent', '',
		'/v1beta/models/gemini-1.5-pro:generateContent'],
	['/v1/models/gemini-1.5-pro:streamGenerateContent?alt=sse', '',
		'/v1beta/models/gemini-1.5-pro:streamGenerateContent'],
	['/v1beta/models/gemini-1.5-pro:countTokens', '',
		'/v1beta/models/gemini-1.5-pro:countTokens'],
	['//models/gemini-1.5-pro:generateContent', '',
		'/v1beta/models/gemini-1.5-pro:generateContent'],
	['/v1/v1beta/models/gemini-1.5-pro:embedContent', '',
		'/v1beta/models/gemini-1.5-pro:embedContent'],
	['/gemini/v1beta/models/gemini-x:generateContent', '',
		'/v1beta/models/gemini-x:generateContent'],
	['/gemini/v1beta/tunedModels/t-1:generateContent', '',
		'/v1beta/tunedModels/t-1:generateContent'],
	['/gemini/upload/v1beta/files?uploadType=media', '',
		'/upload/v1beta/files'],
	['/upload/v1/files', '', '/upload/v1beta/files'],
	['/gemini/upload/v1/files?upload_id=x', '', '/upload/v1beta/files'],
	['/v1/messages', 'claude-x', '/v1/messages'],
	['/messages', 'claude-x', '/v1/messages'],
	['/v1/v1/messages', 'claude-x', '/v1/messages'],
	['/v1/messages/count_tokens', 'claude-x', '/v1/messages/count_tokens'],
	['/anthropic/v1/messages', 'x', '/v1/messages'],
	['/v1/messages', 'kimi-k2', '/anthropic/v1/messages'],
	['/v1/chat/completions', 'mistral-large-latest',
		'/v1/chat/completions'],
	['/mistral/v1/fim/completions', 'codestral-latest', '/v1/fim/completions'],
	['/mistral/agents/completions', 'x', '/v1/agents/completions'],
	['/v1/chat/completions', 'groq/x', '/openai/v1/chat/completions'],
	['/groq/openai/v1/chat/completions', 'x', '/openai/v1/chat/completions'],
	['/openai/v1/chat/completions', 'x', '/v1/chat/completions'],
	['/openai/chat/completions', 'x', '/v1/chat/completions'],
	['/v1/chat/completions', 'azure/dep', '/openai/v1/chat/completions'],
	['/openai/deployments/azure%2Fdep/chat/completions?api-version=1', '',
		0],
	['/azure/openai/deployments/dep-1/chat/completions?api-version=1', '',
		'/openai/deployments/dep-1/chat/completions'],
	['/v1/chat/completions', 'ollama/x', '/v1/chat/completions'],
	['/ollama/api/chat', 'x', '/api/chat'],
	['/v1/chat/completions', 'plain/x', '/chat/completions'],
	['/v1/chat/completions', 'deep/x', '/a/b/v9/chat/completions'],

	# encoded characters stay encoded, and nothing leaves the roots

	['/v1/files/file%20one%3Fx', '', '/v1/files/file%20one%3Fx'],
	['/v1/chat/completions%3Fx=1', 'gpt-4o', '/v1/chat/completions%3Fx=1'],
	['/v1/organization/admin_api_keys', 'gpt-4o', 0],
	['/v1/dashboard/billing', 'gpt-4o', 0],
	['/v1/files/../organization/users', 'gpt-4o', 0],
	['/v1/files/%2e%2e/organization/users', 'gpt-4o', 0],
	['/ollama/api/delete', 'x', 0],
	['/ollama/api/pull', 'x', 0],
	['/v1/messages', 'gpt-4o', 0],
	['/models/gpt-4o:generateContent', '', 0],
	['/anthropic/v1/organizations/me', 'x', 0],
	['/', 'gpt-4o', 0],
	['/v2/chat/completions', 'gpt-4o', 0],
	['/unknown/v1/chat/completions', 'gpt-4o', 0],
);

$t->run()->plan(2 * @cases + 12);

###############################################################################

for my $case (@cases) {
	my ($path, $model, $expect) = @$case;

	$up->clear();

	my $r = post($path, $model ? "{\"model\":\"$model\"}" : '{}');
	my $seen = $up->last_request();

	is($r->{status}, $expect ? 200 : 404, "$path $model")
		or diag($r->{body});
	is($seen ? $seen->{path} : 0, $expect, "$path $model, as it is sent");
}

# arguments, and what is in the path only

post('/v1/models/gemini-1.5-pro:streamGenerateContent?alt=sse', '{}');
is($up->last_request()->{args}, 'alt=sse', 'arguments');

post('/engines/gpt-4o/completions', '{"prompt":"x"}');
is($up->last_request()->{body}, '{"model":"gpt-4o","prompt":"x"}',
	'the model of the path in the body');

post('/engines/gpt-4o/completions', '{ }');
is($up->last_request()->{body}, '{"model":"gpt-4o" }', 'in an empty one');

post('/engines/gpt-4o/completions', '{"model":"other","prompt":"x"}');
is($up->last_request()->{body}, '{"model":"gpt-4o","prompt":"x"}',
	'in the place of another');

# heads for each door

post('/v1/models/gemini-1.5-pro:generateContent', '{}');
is($up->last_request()->{headers}{'x-goog-api-key'}, 'k', 'Gemini, native');

chat('gemini-2.5-pro');
is($up->last_request()->{headers}{authorization}, 'Bearer k',
	'Gemini, compatible');

chat('azure/dep');
is($up->last_request()->{headers}{'api-key'}, 'k', 'Azure');

post('/v1/messages', '{"model":"claude-x"}');
is($up->last_request()->{headers}{'x-api-key'}, 'k', 'Anthropic');
is($up->last_request()->{headers}{'anthropic-version'}, '2023-06-01',
	'its version');

post('/v1/messages', '{"model":"claude-x"}', headers =>
	['anthropic-version' => '2099-01-01']);
is($up->last_request()->{headers}{'anthropic-version'}, '2099-01-01',
	"the client's version");

# merge_slashes off leaves it to us

$t->stop();
my $conf = $t->read_file('nginx.conf');
$conf =~ s/(server_name localhost;)/$1 merge_slashes off;/;
$t->write_file('nginx.conf', $conf)->run();

is(post('/v1//v1///chat//completions', '{"model":"gpt-4o"}')->{status}, 200,
	'merge_slashes off');
is($up->last_request()->{path}, '/v1/chat/completions', 'folded');

###############################################################################
