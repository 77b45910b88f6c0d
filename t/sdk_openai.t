#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the openai packages of PyPI and npm, against simulated providers over
# TLS.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $sdk = "$LLMTest::ROOT/objs/sdk";

my %clients = (
	python => ["$sdk/venv/bin/python", "$LLMTest::ROOT/t/sdk/openai_client.py"],
	node => ['node', "$sdk/openai_client.mjs"],
);

BAIL_OUT("no packages in $sdk, run make sdk") unless -d "$sdk/venv"
	&& -d "$sdk/node_modules/openai";

my $t = LLMTest->new()->certificates(qw/api.openai.test api.mistral.test/);

$t->balancer(instead => 'proxy_ssl_trusted_certificate '
	. $t->testdir() . '/ca.crt;', http => <<'EOF');

    upstream openai {
        llm_provider openai base=https://api.openai.test/v1;
        server 127.0.0.1:8443;
        llm_key sk-limited,sk-refused,sk-good;
        keepalive 8;
    }

    upstream mistral {
        llm_provider mistral base=https://api.mistral.test;
        server 127.0.0.1:8443;
        llm_key sk-mistral;
    }

    client_max_body_size 100m;

    server {
        listen 127.0.0.1:8443 ssl;
        server_name api.openai.test;
        ssl_certificate api.openai.test.crt;
        ssl_certificate_key api.openai.test.key;

        location / {
            proxy_pass http://127.0.0.1:8081;
            proxy_buffering off;
            proxy_set_header Host $host;
            proxy_set_header X-SNI $ssl_server_name;
            proxy_http_version 1.1;
        }
    }

    server {
        listen 127.0.0.1:8443 ssl;
        server_name api.mistral.test;
        ssl_certificate api.mistral.test.crt;
        ssl_certificate_key api.mistral.test.key;

        location / {
            proxy_pass http://127.0.0.1:8082;
            proxy_set_header Host $host;
            proxy_http_version 1.1;
        }
    }

EOF

my $openai = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $answer = { id => 'x', object => 'chat.completion', created => 1,
		model => 'gpt-4o', choices => [{ index => 0, finish_reason => 'stop',
		message => { role => 'assistant', content => "Gr\xfc\xdfe" } }],
		usage => { prompt_tokens => 3, completion_tokens => 4,
		total_tokens => 7 } };

	return { status => 429, headers => ['Retry-After' => '1'], json =>
		{ error => { message => 'Rate limit', type => 'requests',
		code => 'rate_limit_exceeded' } } }
		if $request->{key} eq 'sk-limited';

	my $refused = LLMUpstream::refuses($request, keys => ['sk-good'],
		host => 'api.openai.test');
	return $refused if $refused;

	if ($request->{path} eq '/v1/audio/transcriptions') {
		my ($model) = $request->{body} =~ /name="model"\r\n\r\n(.*?)\r\n/;
		return { json => { text => $model . ' '
			. length $request->{body} } };
	}

	my $body = json($request) || {};

	return { json => { object => 'list', model => $body->{model}, usage =>
		{ prompt_tokens => 2, total_tokens => 2 }, data => [map {
		{ object => 'embedding', index => $_, embedding => [$_, 0.5] } }
		0 .. 1] } } if $request->{path} eq '/v1/embeddings';

	return { status => 404, json => {} }
		if $request->{path} ne '/v1/chat/completions';

	return { status => 404, json => { error => { message => 'no such model',
		type => 'invalid_request_error', code => 'model_not_found' } } }
		if $body->{model} ne 'gpt-4o';

	return { status => 400, json => { error => { message =>
		'context too long', type => 'invalid_request_error',
		code => 'context_length_exceeded' } } }
		if ($body->{user} || '') eq 'too-long';

	return { events => [map({ JSON::PP->new->utf8->encode({ id => 'x',
		object => 'chat.completion.chunk', created => 1, model => 'gpt-4o',
		choices => [{ index => 0, delta => { content => $_ } }] }), 0.02 }
		"Gr", "\xfc\xdf", "e"), JSON::PP->new->encode({ id => 'x', object =>
		'chat.completion.chunk', created => 1, model => 'gpt-4o',
		choices => [], usage => $answer->{usage} }), '[DONE]'] }
		if $body->{stream};

	return { json => $answer, headers => ['x-request-id' => 'req-1'] };
});

my $mistral = LLMUpstream->start($t, 8082, sub {
	return { status => 429, headers => ['Retry-After' => '30'], json =>
		{ object => 'error', message => 'Rate limit exceeded',
		type => 'rate_limited', code => '1300' } };
});

$t->run()->plan(2 * 31);

###############################################################################

for my $name (sort keys %clients) {
	my ($interpreter, $script) = @{$clients{$name}};

	local $ENV{LLM_BASE_URL} = 'http://127.0.0.1:' . port(8080) . '/v1';
	local $ENV{LLM_API_KEY} = 'master';
	local $ENV{NO_PROXY} = '127.0.0.1';

	$_->clear() for $openai, $mistral;

	my $out = `$interpreter $script 2>&1`;
	my $r = json((split /\n/, $out)[-1]);      # warnings come first

	ok($r, "$name, ran to its end") or diag($out) or next;

	is($r->{chat}{text}, "Gr\xfc\xdfe", "$name, chat") or diag($out);
	is($r->{chat}{tokens}, 7, "$name, usage");
	is($r->{chat}{request_id}, 'req-1', "$name, request id");
	is($r->{tools}, "Gr\xfc\xdfe", "$name, tools");
	is($r->{stream}{text}, "Gr\xfc\xdfe", "$name, stream");
	is($r->{stream}{tokens}, 7, "$name, stream, usage");
	is_deeply($r->{embeddings}, [[0, 0.5], [1, 0.5]], "$name, embeddings");
	like($r->{upload}, qr/^whisper-1 200\d{4}$/, "$name, upload");
	ok(scalar(grep { $_ eq 'gpt-4o' } @{$r->{models}}), "$name, models");

	is($r->{error}{class}, 'BadRequestError', "$name, error");
	is($r->{error}{code}, 'context_length_exceeded', "$name, error, code");
	is($r->{unknown}{class}, 'NotFoundError', "$name, unknown model");
	is($r->{unknown}{code}, 'model_not_found', "$name, unknown model, code");
	like($r->{unknown}{message}, qr/nobody-knows/, "$name, which is named");
	is($r->{unauthorized}{class}, 'AuthenticationError', "$name, wrong key");
	is($r->{unauthorized}{code}, 'invalid_api_key', "$name, wrong key, code");

	is($r->{limited}{class}, 'RateLimitError', "$name, limited");
	is($r->{limited_again}{class}, 'RateLimitError', "$name, again");
	is($r->{limited_again}{code}, 'rate_limit_exceeded', "$name, again, code");
	ok($r->{limited_again}{retry_after} > 20, "$name, again, for how long");

	# the second client finds the key out already

	my $asked = () = $mistral->requests();
	is($asked, $name eq 'node' ? 1 : 0, "$name, asked once");

	# what a provider has seen

	my @requests = $openai->requests();
	my %n;
	$n{$_}++ for map { $_->{key} } @requests;

	is($n{'sk-good'}, 6, "$name, good requests");
	ok(!$n{'sk-refused'} || $n{'sk-refused'} == 1, "$name, refused once");
	ok($n{'sk-limited'} || $name eq 'python', "$name, a limited key");

	my ($first) = grep { $_->{key} eq 'sk-good' } @requests;

	is($first->{headers}{'x-sni'}, 'api.openai.test', "$name, SNI");
	is($first->{headers}{host}, 'api.openai.test', "$name, Host");
	ok($first->{headers}{'user-agent'}, "$name, User-Agent");
	ok(defined $first->{headers}{'x-stainless-retry-count'},
		"$name, headers of the package");
	unlike(join('', map { $_->{head} } @requests), qr/master/,
		"$name, no key of the client");
	is(json($first)->{messages}[0]{content}, "Gr\xfc\xdfe \"model\": \x{1f600}",
		"$name, text");
}

###############################################################################
