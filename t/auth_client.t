#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for client keys: every place where a client may put one, and what a wrong
# one gets.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF', server => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-provider-1;
    }

    log_format client $llm_client;

EOF

    llm_client_key master-key name=app;
    llm_client_key second,third name=rotated;
    llm_client_key env:LLM_TEST_CLIENT name=env;
    llm_client_key file:%%TESTDIR%%/clients name=file;
    llm_client_key sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b name=hash;

    access_log %%TESTDIR%%/clients.log client;

EOF

my $openai = LLMUpstream->start($t, 8081, sub {
	return LLMUpstream::refuses($_[0], keys => ['sk-provider-1'])
		|| { json => { choices => [] } };
});

$t->write_file('clients', "from-file-1\nfrom-file-2\n");

$ENV{LLM_TEST_CLIENT} = 'from-env';

$t->run()->plan(36);

###############################################################################

my $body = '{"messages":[],"model":"gpt-4o"}';
my $uri = '/v1/chat/completions';

sub with {
	my ($name, $value, $args) = @_;
	return post($uri . ($args || ''), $body, key => undef,
		headers => $name ? [$name => $value] : [])->{status};
}

is(with('Authorization', 'Bearer master-key'), 200, 'bearer');
is(with('authorization', 'bearer master-key'), 200, 'bearer in lower case');
is(with('Authorization', 'Basic master-key'), 200, 'basic with the key itself');
is(with('Authorization', 'Basic dXNlcjptYXN0ZXIta2V5'), 200, 'curl -u');
is(with('Authorization', 'AWS4-HMAC-SHA256 Credential=Bearer master-key/'
	. '20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host'), 200,
	'credential of AWS libraries');
is(with('x-litellm-api-key', 'master-key'), 200, 'x-litellm-api-key');
is(with('x-litellm-api-key', 'Bearer master-key'), 200,
	'x-litellm-api-key with bearer');
is(with('api-key', 'master-key'), 200, 'api-key');
is(with('API-Key', 'master-key'), 200, 'API-Key');
is(with('x-api-key', 'master-key'), 200, 'x-api-key');
is(with('x-goog-api-key', 'master-key'), 200, 'x-goog-api-key');
is(with('Ocp-Apim-Subscription-Key', 'master-key'), 200,
	'ocp-apim-subscription-key');
is(with('', '', '?key=master-key'), 200, 'argument');
is(with('Sec-WebSocket-Protocol',
	'realtime, openai-insecure-api-key.master-key, v1'), 200,
	'protocol of a websocket');

is(post($uri, $body, key => 'wrong', headers => ['x-api-key' => 'master-key'])
	->{status}, 200, 'the right one beside a wrong one');

is(with('Authorization', 'Bearer second'), 200, 'second of a list');
is(with('Authorization', 'Bearer third'), 200, 'third of a list');
is(with('Authorization', 'Bearer from-env'), 200, 'from the environment');
is(with('Authorization', 'Bearer from-file-2'), 200, 'from a file');
is(with('Authorization', 'Bearer secret'), 200, 'by its hash');

for my $wrong ('Bearer master-ke', 'Bearer master-key-', 'Bearer sk-provider-1',
	'Bearer ', 'Bearer', 'Digest master-key', 'Basic !!!', 'Basic bWFzdGVy')
{
	is(with('Authorization', $wrong), 401, "not $wrong");
}

my $r = post($uri, $body, key => undef);

is($r->{status}, 401, 'none');
is($r->{headers}{'content-type'}, 'application/json', 'json');
is_deeply([sort keys %{json($r)->{error}}], [qw/code message param type/],
	"OpenAI's shape");
is(json($r)->{error}{type}, 'authentication_error', 'type');

is(json(post('/v1/messages', $body, key => undef))->{type}, 'error',
	"Anthropic's shape on its path");
is(json(post('/v1beta/models/gemini-2.5-pro:generateContent', '{}',
	key => undef))->{error}{status}, 'UNAUTHENTICATED', "Gemini's shape");

# nothing that was refused went on

is(scalar $openai->requests(), 20, 'only good ones were sent');

my %clients;
$clients{$_}++ for split /\n/, $t->read_file('clients.log');

is_deeply(\%clients, { app => 15, rotated => 2, env => 1, file => 1, hash => 1,
	'-' => 11 }, 'names of clients');

###############################################################################
