#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for calls that leave something behind are not made twice.

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
        llm_key sk-1,sk-2,sk-3;
    }

    upstream kept {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2,sk-3;
        keepalive 4;
    }

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8081;
        llm_key sk-4,sk-5,sk-6;
    }

    upstream anthropic {
        llm_provider anthropic base=http://127.0.0.1:8081;
        llm_key sk-7,sk-8,sk-9;
    }

    llm_model default openai;

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($status) = $request->{args} =~ /status=(\w+)/;

	return { json => {} } unless $status;
	return { raw => [''] } if $status eq 'close';
	return { status => $status, headers => ['Retry-After' => 1],
		json => {} };
});

my @once = (
	'/v1/files', '/v1/uploads', '/v1/batches', '/v1/fine_tuning/jobs',
	'/v1/vector_stores', '/v1/threads', '/v1/threads/runs',
	'/v1/conversations', '/v1/videos', '/v1/messages/batches',
	'/v1beta/models/gemini-x:batchGenerateContent', '/v1beta/cachedContents',
	'/gemini/upload/v1beta/files',
);

my @again = (
	'/v1/chat/completions', '/v1/embeddings', '/v1/responses', '/v1/messages',
	'/v1/messages/count_tokens', '/v1/images/generations', '/v1/audio/speech',
	'/v1beta/models/gemini-x:generateContent',
);

$t->run()->plan(3 * @once + 2 * @again + 7);

###############################################################################

sub tries {
	my ($path, $status, %o) = @_;

	wait_for(sub { !json(get('/health'))->{unhealthy_count} });

	# an upstream that answers in between is not ill as a whole

	chat('gpt-4o') for 1 .. 3;
	$up->clear();
	post("$path?status=$status", '{"a":1}', %o);

	return scalar $up->requests();
}

for my $path (@once) {
	is(tries($path, 500), 1, "$path once, 500");
	is(tries($path, 'close'), 1, "$path once, closed");
	is(tries($path, 429), 3, "$path, 429 did nothing");
}

for my $path (@again) {
	is(tries($path, 500), 2, "$path again, 500");
	is(tries($path, 'close'), 2, "$path again, closed");
}

# what the method makes safe

chat('gpt-4o') for 1 .. 10;
$up->clear();
get('/v1/files?status=500');
is(scalar $up->requests(), 2, 'GET');

$up->clear();
request('DELETE', '/v1/models/m-1?status=500', key => 'master');
is(scalar $up->requests(), 2, 'DELETE');

# a connection that died while it was idle: such calls do not use one

$up->clear();
chat('kept/x');
post('/kept/v1/files', '{}');
my @r = $up->requests();
isnt($r[0]{connection}, $r[1]{connection}, 'a connection of its own');
chat('kept/x');
is(($up->requests())[2]{connection}, $r[1]{connection},
	'which others use then');

# for others the same key once more, and nobody is blamed

$t->stop_daemons();
$up = LLMUpstream->start($t, 8081, sub { return { json => {} } });
is(chat('kept/x')->{status}, 200, 'after the server was started anew');
is(json(get('/health'))->{unhealthy_count}, 0, 'no key is to blame');
is(scalar $up->requests(), 1, 'one request');

###############################################################################
