#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for bodies that cannot be understood: a clear 400, never a guess.

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
        llm_key sk-1;
    }

EOF

my $openai = LLMUpstream->start($t, 8081, sub { return { json => {} } });

my @bad = (
	['cut off', '{"model":"gpt-4o"'],
	['cut off in a string', '{"model":"gpt-4'],
	['nothing', ''],
	['blanks', " \n "],
	['array', '[{"model":"gpt-4o"}]'],
	['string', '"model"'],
	['number', '1'],
	['null', 'null'],
	['something behind', '{"model":"gpt-4o"} x'],
	['a second object', '{"model":"gpt-4o"}{"model":"gpt-4o"}'],
	['comma at the end', '{"model":"gpt-4o",}'],
	['no quotes', '{model:"gpt-4o"}'],
	['single quotes', "{'model':'gpt-4o'}"],
	['comment', '{"model":"gpt-4o"/* x */}'],
	['control character', "{\"model\":\"gpt\n4o\"}"],
	['invalid UTF-8', "{\"a\":\"\xff\",\"model\":\"gpt-4o\"}"],
	['byte order mark', "\xef\xbb\xbf{\"model\":\"gpt-4o\"}"],
	['form', 'model=gpt-4o&messages=x'],
	['number as model', '{"model":4}'],
	['null as model', '{"model":null}'],
	['list as model', '{"model":["gpt-4o"]}'],
	['object as model', '{"model":{"a":"gpt-4o"}}'],
	['control character in the name', '{"model":"gpt\u00004o"}'],
	['long name', '{"model":"' . 'x' x 600 . '"}'],
);

$t->run()->plan(2 * @bad + 15);

###############################################################################

for my $case (@bad) {
	my ($name, $body) = @$case;
	my $r = post('/v1/chat/completions', $body);

	is($r->{status}, 400, $name);
	is(json($r)->{error}{type}, 'invalid_request_error', "$name, type")
		or diag($r->{body});
}

my $r = post('/v1/chat/completions', 'x', headers => [
	'Content-Encoding' => 'gzip']);
is($r->{status}, 400, 'compressed');
like(json($r)->{error}{message}, qr/"gzip"/, 'it tells by what');

$r = post('/v1/chat/completions', '{"model":"gpt-4o"}', headers => [
	'Content-Encoding' => 'identity']);
is($r->{status}, 200, 'identity is no compression');

$r = request('POST', '/v1/chat/completions', key => 'master');
is($r->{status}, 400, 'no body');
like(json($r)->{error}{message}, qr/JSON body/, 'it tells what to send');

$r = request('POST', '/v1/embeddings', key => 'master', body => '');
is($r->{status}, 400, 'empty body');

# found out in the middle of it: the client reads the answer all the same

$r = post('/v1/chat/completions', '{"model" x' . ' ' x 5_000_000);
is($r->{status}, 400, 'a large one');
ok($r->{complete}, 'and the answer is whole');

$r = post('/v1/chat/completions', '{"model" x' . ' ' x 5_000_000,
	chunked => 60000);
is($r->{status}, 400, 'a large one in chunks');

# calls that need no body, and bodies that are no JSON

is(request('POST', '/v1/responses/resp_1/cancel', key => 'master')->{status},
	200, 'no body needed');
is(get('/v1/files')->{status}, 200, 'nor for GET');
is(post('/v1/fine_tuning/jobs', '{"model":"gpt-4o"')->{status}, 400,
	'JSON elsewhere');
is(post('/v1/uploads', "\0\1\2", headers => ['Content-Type' =>
	'application/octet-stream'])->{status}, 200, 'bytes');

is(scalar(grep { $_->{path} =~ /chat|embed/ } $openai->requests()), 1,
	'no bad one was sent');

ok(!$t->logged(qr/\[(crit|emerg)\]/),
	'nothing broke');

###############################################################################
