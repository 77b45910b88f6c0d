#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for finding the model in a JSON body and writing another one there:
# nothing else changes by a byte.

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
        llm_key sk-1;
    }

    llm_model short  openai/a-much-longer-name-than-before;
    llm_model "a/b"  openai/c;
    llm_model quote  'openai/with"quote\and-more';
    llm_model unicode-ü  openai/ü;

EOF

my $openai = LLMUpstream->start($t, 8081, sub { return { json => {} } });

my @cases = (

	# name, body, what is sent; "MODEL" stands for the other name

	['first', '{"model":"short","messages":[]}',
		'{"model":"MODEL","messages":[]}'],
	['behind the messages', '{"messages":[{"content":"x"}],"model":"short"}',
		'{"messages":[{"content":"x"}],"model":"MODEL"}'],
	['white space', "{ \"model\" \t:\r\n \"short\" , \"n\" : 1 }\n",
		"{ \"model\" \t:\r\n \"MODEL\" , \"n\" : 1 }\n"],
	['alone', '{"model":"short"}', '{"model":"MODEL"}'],
	['escapes in the name', '{"mod\u0065l":"short"}',
		'{"mod\u0065l":"MODEL"}'],
	['escapes in the value', '{"model":"\u0073h\u006frt"}',
		'{"model":"MODEL"}'],
	['nested ones', '{"messages":[{"model":"no","content":"\"model\":\"no\""}]'
		. ',"x":{"model":"no"},"model":"short","tools":[{"model":"no"}]}',
		'{"messages":[{"model":"no","content":"\"model\":\"no\""}]'
		. ',"x":{"model":"no"},"model":"MODEL","tools":[{"model":"no"}]}'],
	['the last of several', '{"model":"other","model":"x","model":"short"}',
		'{"model":"other","model":"x","model":"MODEL"}'],
	['text that looks like it', '{"a":"\\\\","b":"\"model\":\"no\"",'
		. '"model":"short","c":"model"}',
		'{"a":"\\\\","b":"\"model\":\"no\"","model":"MODEL","c":"model"}'],
	['numbers of any size', '{"seed":123456789012345678901234567890,'
		. '"t":1e999,"u":-0.0,"model":"short"}',
		'{"seed":123456789012345678901234567890,'
		. '"t":1e999,"u":-0.0,"model":"MODEL"}'],
	['raw UTF-8', "{\"a\":\"\xc3\xbc\xf0\x9f\x98\x80\",\"model\":\"short\"}",
		"{\"a\":\"\xc3\xbc\xf0\x9f\x98\x80\",\"model\":\"MODEL\"}"],
	['lone surrogates', '{"a":"\ud800","model":"short"}',
		'{"a":"\ud800","model":"MODEL"}'],
	['deep', '{"a":' . '[' x 5000 . ']' x 5000 . ',"model":"short"}',
		'{"a":' . '[' x 5000 . ']' x 5000 . ',"model":"MODEL"}'],
);

$t->run()->plan(2 * @cases + 17);

###############################################################################

my $uri = '/v1/chat/completions';

for my $case (@cases) {
	my ($name, $body, $expect) = @$case;

	$expect =~ s/MODEL/a-much-longer-name-than-before/;

	is(post($uri, $body)->{status}, 200, $name);
	is($openai->last_request()->{body}, $expect, "$name, as it is sent");
}

post($uri, '{"model":"a\/b"}');
is($openai->last_request()->{body}, '{"model":"c"}', 'an escaped slash');

post($uri, '{"model":"quote"}');
is($openai->last_request()->{body}, '{"model":"with\"quote\\\\and-more"}',
	'a name with a quote');

post($uri, "{\"model\":\"unicode-\xc3\xbc\"}");
is($openai->last_request()->{body}, "{\"model\":\"\xc3\xbc\"}", 'UTF-8');

post($uri, '{"model":"gpt-4o", "a":1}');
is($openai->last_request()->{body}, '{"model":"gpt-4o", "a":1}', 'unchanged');

post($uri, '{"model":"openai/gpt-4o", "a":1}');
is($openai->last_request()->{body}, '{"model":"gpt-4o", "a":1}', 'prefix');

# the body in small pieces of its own, and its length with the other name

post($uri, '{"messages":[],"model":"short","x":1}', chunked => 3);
my $seen = $openai->last_request();
is($seen->{body},
	'{"messages":[],"model":"a-much-longer-name-than-before","x":1}',
	'chunked');
is($seen->{headers}{'content-length'}, length $seen->{body}, 'its length');
ok(!defined $seen->{headers}{'transfer-encoding'}, 'no chunks any more');

# in memory and in a file, names shorter and longer

for my $size (30_000, 900_000, 9_000_000) {
	for my $name ('openai/gpt-4o', 'short', 'gpt-4o') {
		my $head = '{"messages":[{"role":"user","content":"'
			. join('', map { chr(97 + $_ % 26) } 1 .. 1000) x ($size / 1000)
			. '"}],"model":"';
		my $expect = { 'openai/gpt-4o' => 'gpt-4o', 'gpt-4o' => 'gpt-4o',
			short => 'a-much-longer-name-than-before' }->{$name};

		post($uri, $head . $name . '","n":1}');
		is($openai->last_request()->{md5},
			Digest::MD5::md5_hex($head . $expect . '","n":1}'),
			"$size bytes, $name");
	}
}

###############################################################################
