#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what Gemini keeps for one project: files, cached contents, batches
# and tuned models.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;', http => <<'EOF');

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8081;
        llm_key sk-1,sk-2,sk-3;
    }

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-4;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($n, $path, $method) = @$request{qw/n path method/};

	return { json => { file => { name => "files/f$n",
		uri => "https://gemini.example/v1beta/files/f$n" } } }
		if $path =~ /upload/;

	return { json => { name => "cachedContents/c$n", model => 'models/m' } }
		if $method eq 'POST' && $path =~ /cachedContents$/;

	return { json => { name => "batches/b$n" } }
		if $path =~ /:batchGenerateContent/;

	return { json => { name => "batches/$1", done => \1, response => {
		responsesFile => "files/out-$1" } } }
		if $method eq 'GET' && $path =~ m!batches/(\w+)!;

	return { json => { name => "tunedModels/t$n/operations/o$n",
		metadata => { tunedModel => "tunedModels/t$n" } } }
		if $method eq 'POST' && $path =~ /tunedModels$/;

	return { json => { tunedModels => [ { name => 'tunedModels/mine' } ] } }
		if $path =~ /tunedModels$/;

	return { json => { } };
});

# a request, the name of what it made, and the key that it went to

sub made {
	my ($code) = @_;
	$up->clear();
	my $r = $code->();
	my ($name) = $r->{body} =~ /"name":"([^"]+)"/;
	return ($name, $up->last_request()->{key});
}

sub used {
	my ($code, $times) = @_;
	$up->clear();
	$code->() for 1 .. $times || 6;
	return join ' ', sort keys %{{ map { $_ => 1 } $up->keys_used() }};
}

sub generate {
	my ($body, $model) = @_;
	$model //= 'models/gemini-2.5-pro';
	return post("/v1beta/$model:generateContent", "{$body}");
}

$t->run()->plan(19);

###############################################################################

# files

my ($name, $key) = made(sub { post('/upload/v1beta/files', 'bytes',
	headers => ['Content-Type' => 'text/plain']) });

like($name, qr!^files/f!, 'a file');
is(used(sub { get("/v1beta/$name") }), $key, 'GET');
is(used(sub { get("/v1beta/$name:download?alt=media") }), $key, 'its bytes');

is(used(sub { generate('"contents":[{"parts":[{"fileData":{"fileUri":'
	. "\"https://gemini.example/v1beta/$name\"}}]}]") }), $key, 'by its URI');
is(used(sub { generate('"contents":[{"parts":[{"file_data":{"file_uri":'
	. "\"$name\"}}]}]") }), $key, 'by its name');

# cached contents

($name, $key) = made(sub { post('/v1beta/cachedContents',
	'{"model":"models/gemini-2.5-pro"}') });

like($name, qr!^cachedContents/c!, 'a cached content');
is(used(sub { get("/v1beta/$name") }), $key, 'GET');
is(used(sub { generate("\"cachedContent\":\"$name\"") }), $key, 'its use');
is(used(sub { request('PATCH', "/v1beta/$name?updateMask=ttl",
	key => 'master', headers => ['Content-Type' => 'application/json'],
	body => '{"ttl":"60s"}') }), $key, 'PATCH');
is(used(sub { generate("\"cachedContent\":\"$name\"") }), $key, 'once more');

is(used(sub { request('DELETE', "/v1beta/$name", key => 'master') })
	=~ /\Q$key\E/, 1, 'DELETE');
is(used(sub { generate("\"cachedContent\":\"$name\"") }, 80),
	'sk-1 sk-2 sk-3', 'forgotten');

# batches, and what they write

($name, $key) = made(sub { post('/v1beta/models/gemini-2.5-pro:'
	. 'batchGenerateContent', '{"batch":{}}') });

like($name, qr!^batches/b!, 'a batch');
is(used(sub { get("/v1beta/$name") }), $key, 'GET');
is(used(sub { post("/v1beta/$name:cancel", '') }), $key, 'cancel');

my ($number) = $name =~ /(b\d+)/;
is(used(sub { get("/download/v1beta/files/out-$number:download") }), $key,
	'its file');

# tuned models

(undef, $key) = made(sub { get('/v1beta/tunedModels') });
is(used(sub { generate('"contents":[]', 'tunedModels/mine') }), $key,
	'a tuned model');
is(used(sub { post('/v1/chat/completions',
	'{"model":"gemini/tunedModels/mine"}') }), $key, 'as OpenAI has it');

# a name that a client made up is bound to nobody

is(used(sub { generate('"cachedContent":"cachedContents/nobody"') }, 80),
	'sk-1 sk-2 sk-3', 'unknown');

###############################################################################
