#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for metadata that a provider would refuse: it is taken out of the body,
# and nothing else changes by a byte.

###############################################################################

use warnings;
use strict;

use Test::More;
use Digest::MD5;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2;
    }

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8081;
        llm_key k;
    }

    upstream mistral {
        llm_provider mistral base=http://127.0.0.1:8081;
        llm_key sk-mistral;
    }

    upstream anthropic {
        llm_provider anthropic base=http://127.0.0.1:8081;
        llm_key k;
    }

    upstream azure {
        llm_provider azure base=http://127.0.0.1:8081;
        llm_key k;
    }

    llm_model short   openai/a-much-longer-name-than-before;
    llm_model chain   openai/gpt-limited mistral/m;

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	return { status => 429, json => {} }
		if $request->{body} =~ /limited/;
	return { json => {} };
});

my $chat = '/v1/chat/completions';
my $free = '{"session_id":"s","trace_user_id":null,"tags":["a",{"b":"}"}]}';

# path, body, what is sent if it is another one

my @cases = (

	['in the middle', $chat,
		'{"messages":[],"metadata":' . $free . ',"model":"gpt-4o"}',
		'{"messages":[],"model":"gpt-4o"}'],
	['first', $chat, '{"metadata":' . $free . ',"model":"gpt-4o"}',
		'{"model":"gpt-4o"}'],
	['first, white space', $chat,
		"{ \"metadata\" : $free\n\t, \"model\": \"gpt-4o\"}",
		'{ "model": "gpt-4o"}'],
	['last', $chat, '{"model":"gpt-4o","metadata":' . $free . '}',
		'{"model":"gpt-4o"}'],
	['last, white space', $chat,
		"{ \"model\": \"gpt-4o\" ,\r\n\t\"metadata\" : $free }\n",
		"{ \"model\": \"gpt-4o\" }\n"],
	['behind a number', $chat,
		'{"model":"gpt-4o","n":1 ,"metadata":' . $free . ',"t":0.5}',
		'{"model":"gpt-4o","n":1,"t":0.5}'],
	['behind true', $chat,
		'{"model":"gpt-4o","x":true,"metadata":' . $free . ',"t":-1e3}',
		'{"model":"gpt-4o","x":true,"t":-1e3}'],
	['behind a list', $chat,
		'{"model":"gpt-4o","x":[[1]],"metadata":' . $free . ',"t":[]}',
		'{"model":"gpt-4o","x":[[1]],"t":[]}'],
	['escapes in the name', $chat,
		'{"model":"gpt-4o","meta\u0064ata":' . $free . ',"t":1}',
		'{"model":"gpt-4o","t":1}'],
	['the last of several', $chat,
		'{"metadata":{"a":"b"},"model":"gpt-4o","metadata":{"a":1}}',
		'{"metadata":{"a":"b"},"model":"gpt-4o"}'],
	['nested ones stay', $chat,
		'{"model":"gpt-4o","x":{"metadata":{"a":1}},"messages":'
		. '[{"content":"\"metadata\":{","metadata":1}]}'],

	# other edits around it

	['with the model in front', $chat,
		'{"model":"short","metadata":' . $free . ',"n":1}',
		'{"model":"a-much-longer-name-than-before","n":1}'],
	['with the model behind', $chat,
		'{"metadata":' . $free . ',"model":"openai/gpt-4o"}',
		'{"model":"gpt-4o"}'],
	['with the model far behind', $chat,
		'{"a":1,"metadata":' . $free . ',"b":"c","model":"short"}',
		'{"a":1,"b":"c","model":"a-much-longer-name-than-before"}'],
	['with a model written anew', '/engines/gpt-4o/chat/completions',
		'{"metadata":{"a":1},"n":1}', '{"model":"gpt-4o","n":1}'],
	['nothing but it', '/engines/gpt-4o/chat/completions',
		'{ "metadata":{"a":1} }', '{"model":"gpt-4o" }'],

	# what OpenAI takes

	['strings, not stored', $chat,
		'{"model":"gpt-4o","metadata":{"a":"b"}}', '{"model":"gpt-4o"}'],
	['strings, stored', $chat,
		'{"model":"gpt-4o","metadata":{"a":"b","c":""},"store":true}'],
	['nothing in it, stored', $chat,
		'{"model":"gpt-4o","store":true,"metadata":{}}'],
	['stored in the end', $chat,
		'{"metadata":{"a":"b"},"store":false,"model":"gpt-4o","store":true}'],
	['not stored in the end', $chat,
		'{"metadata":{"a":"b"},"store":true,"model":"gpt-4o","store":false}',
		'{"store":true,"model":"gpt-4o","store":false}'],
	['null', $chat, '{"model":"gpt-4o","metadata":null}'],
	(map { ["$_, stored", $chat,
		'{"store":true,"metadata":' . $_ . ',"model":"gpt-4o"}',
		'{"store":true,"model":"gpt-4o"}'] }
		'{"a":1}', '{"a":null}', '{"a":"b","c":{}}', '{"a":[]}',
		'{"a":{"b":"c"},"d":"e"}', '"a"', '[]', '1', 'false',
		'{"a":' . '[' x 20 . ']' x 20 . '}'),
	['responses', '/v1/responses',
		'{"model":"gpt-4o","metadata":{"a":"b"},"input":"x"}'],
	['responses, no strings', '/v1/responses',
		'{"model":"gpt-4o","metadata":{"a":1},"input":"x"}',
		'{"model":"gpt-4o","input":"x"}'],
	['what is kept there', '/openai/v1/vector_stores',
		'{"name":"x","metadata":{"a":"b"}}'],
	['Azure', '/azure/openai/deployments/d/chat/completions',
		'{"metadata":{"a":"b"},"n":1,"model":"d"}', '{"n":1,"model":"d"}'],

	# others

	['Gemini', $chat,
		'{"model":"gemini-x","store":true,"metadata":{"a":"b"}}',
		'{"model":"gemini-x","store":true}'],
	['Gemini, null', $chat, '{"model":"gemini-x","metadata":null}',
		'{"model":"gemini-x"}'],
	['Mistral', $chat, '{"model":"mistral-x","metadata":' . $free . '}'],
	['Anthropic', '/v1/messages',
		'{"model":"claude-x","metadata":{"user_id":"u"}}'],
);

$t->run()->plan(3 * @cases + 9);

###############################################################################

for my $case (@cases) {
	my ($name, $uri, $body, $expect) = @$case;

	$expect //= $body;

	is(post($uri, $body)->{status}, 200, $name);
	is($up->last_request()->{body}, $expect, "$name, as it is sent");

	post($uri, $body, chunked => 1);
	is($up->last_request()->{body}, $expect, "$name, in pieces");
}

# each try by itself

$up->clear();

my $body = '{"metadata":' . $free . ',"messages":[],"model":"chain"}';

is(post($chat, $body)->{status}, 200, 'another provider');

my @requests = $up->requests();
my @bodies = map { $_->{body} } @requests;

is_deeply(\@bodies, [('{"messages":[],"model":"gpt-limited"}') x 2,
	'{"metadata":' . $free . ',"messages":[],"model":"m"}'],
	'which gets the metadata');
is_deeply([map { $_->{headers}{'content-length'} } @requests],
	[map { length } @bodies], 'lengths');

# in memory and in a file

for my $size (30_000, 900_000, 9_000_000) {
	my $text = join('', map { chr(97 + $_ % 26) } 1 .. 1000) x ($size / 1000);
	my $rest = '"messages":[{"role":"user","content":"' . $text . '"}],"n":1';

	post($chat, '{"metadata":{"a":1},' . $rest . ',"model":"short"}');
	is($up->last_request()->{md5}, Digest::MD5::md5_hex(
		"{$rest,\"model\":\"a-much-longer-name-than-before\"}"),
		"$size bytes, in front");

	post($chat, '{"model":"gpt-4o",' . $rest . ',"metadata":{"a":1}}');
	is($up->last_request()->{md5}, Digest::MD5::md5_hex(
		"{\"model\":\"gpt-4o\",$rest}"), "$size bytes, behind");
}

###############################################################################
