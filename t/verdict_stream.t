#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for a stream whose first event is an error: it is judged like an
# error, and the client sees the stream of another key.

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
        llm_key sk-good backup;
    }

    upstream anthropic {
        llm_provider anthropic base=http://127.0.0.1:8081/v1;
        llm_key ak-1;
        llm_key ak-good backup;
    }

    upstream limited {
        llm_provider anthropic base=http://127.0.0.1:8081/v1;
        llm_key lk-1;
        llm_key lk-good backup;
    }

    upstream minimax {
        llm_provider minimax base=http://127.0.0.1:8081/v1;
        llm_key mk-1;
        llm_key mk-good backup;
    }

    upstream groq {
        llm_provider groq base=http://127.0.0.1:8081/openai/v1;
        llm_key gk-1;
    }

EOF

my @good = ('{"choices":[{"delta":{"content":"hi"}}]}', '[DONE]');

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($what) = $request->{body} =~ /"content":"([^"]*)"/;

	return { events => \@good } if $request->{key} =~ /good/;

	my @soon = ('Retry-After' => 1);
	my @type = ('Content-Type' => 'text/event-stream', @soon);
	my $error = '{"error":{"message":"busy","code":429}}';

	return { headers => \@soon, events => [$error] } if $what eq 'error';
	return { headers => \@soon, events => [0.3, $error] }
		if $what eq 'later';
	return { events => [$good[0], $error] } if $what eq 'second';
	return { events => ['{"error":{"message":"m","code":400}}'] }
		if $what eq 'request';
	return { headers => \@type, pieces => [": wait\n\n", 0.5,
		"data: $error\n\n"] } if $what eq 'comment';
	return { headers => \@type, pieces => ['dat', 0.1, "a: $error\n", 0.1,
		"\n"] } if $what eq 'pieces';
	return { headers => \@type, body => "data: $error\n\n" }
		if $what eq 'length';
	return { headers => \@type, body => "data: $error\n\n", end => 'close' }
		if $what eq 'close';
	return { headers => [@type, 'Content-Encoding' => 'x'],
		body => "data: $error\n\n" } if $what eq 'encoded';
	return { headers => \@type, pieces => ["event: error\ndata: "
		. '{"type":"error","error":{"type":"overloaded_error",'
		. '"message":"Overloaded"}}' . "\n\n", 0.1] } if $what eq 'named';
	return { headers => ['Content-Type' => 'text/event-stream'],
		pieces => ["event: error\ndata: "
		. '{"type":"error","error":{"type":"rate_limit_error",'
		. '"message":"m"}}' . "\n\n", 0.1] } if $what eq 'limited';
	return { headers => \@type, pieces => ['data: "' . 'x' x 40000 . "\"\n\n",
		0.1] } if $what eq 'large';
	return { headers => \@type, pieces => ["data: 1\n\n", 2, "data: 2\n\n"] }
		if $what eq 'slow';
	return { headers => \@soon, json => { base_resp => { status_code => $1,
		status_msg => 'm' } } } if $what =~ /^result (\d+)/;
	return { json => { choices => [], x => 'x' x 20000,
		base_resp => { status_code => 1002 } } } if $what eq 'result large';
	return { events => \@good };
});

sub back {
	wait_for(sub { !json(get('/health'))->{unhealthy_count} }, 15);
	$up->clear();
}

$t->run()->plan(40);

###############################################################################

for my $what (qw/error pieces length later/) {
	back();

	my $r = chat('gpt-4o', text => $what, stream => 1);

	is($r->{status}, 200, "$what, status");
	is($r->{body}, join('', map { "data: $_\n\n" } @good),
		"$what, the stream of another key");
	is(join(' ', $up->keys_used()), 'sk-1 sk-good', "$what, two keys");
}

back();

my $r = chat('anthropic/x', text => 'named', stream => 1,
	uri => '/v1/messages');
is($r->{body}, join('', map { "data: $_\n\n" } @good), 'event: error');
is(join(' ', $up->keys_used()), 'ak-1 ak-good', 'event: error, two keys');

# without a 429 there is no Retry-After that could be missed

back();
chat('limited/x', text => 'limited', stream => 1, uri => '/v1/messages');
is(join(' ', $up->keys_used()), 'lk-1 lk-good', 'a limit, two keys');
ok($t->logged(qr/key "limited-1" .* asked to wait, status 429, rate_limited/),
	'it is no spending limit');

# what is not the first event, or cannot be looked at, is left alone

for my $what (qw/second comment close encoded request/) {
	back();

	$r = chat('gpt-4o', text => $what, stream => 1);

	like($r->{body}, qr/"error"/, "$what is passed on");
	is(join(' ', $up->keys_used()), 'sk-1', "$what, one key");
}

$r = chat('gpt-4o', text => 'large', stream => 1);
is(length $r->{body}, 40010, 'a large event');

# nothing waits but for the first event

my $text = chat('gpt-4o', text => 'slow', stream => 1, start => 1,
	until => qr/data: 1/);
$text = http_end($text, until => qr/data: 1/) if ref $text;
like($text, qr/data: 1/, 'the first event');
unlike($text, qr/data: 2/, 'comes at once');

$text = chat('gpt-4o', text => 'comment', stream => 1, start => 1,
	until => qr/: wait/);
$text = http_end($text, until => qr/: wait/) if ref $text;
like($text, qr/: wait/, 'a comment');
unlike($text, qr/error/, 'comes at once');

# without another key the stream is passed on

$r = chat('groq/x', text => 'error', stream => 1);
is($r->{status}, 200, 'the only key, status');
like($r->{body}, qr/busy/, 'the only key, its stream');

# a small document that says what was wrong

back();

$r = chat('minimax/x', text => 'result 1002');
like($r->{body}, qr/hi/, 'a limit with a 200, another key');
is(join(' ', $up->keys_used()), 'mk-1 mk-good', 'two keys');

back();

$r = chat('minimax/x', text => 'result 0');
is(json($r)->{base_resp}{status_code}, 0, 'no error with a 200');

$r = chat('minimax/x', text => 'result 2013');
is(json($r)->{base_resp}{status_code}, 2013, 'a request that is wrong');

$r = chat('minimax/x', text => 'result large');
is(json($r)->{base_resp}{status_code}, 1002, 'a document that is not small');

$r = chat('gpt-4o', text => 'result 1002');
is(json($r)->{base_resp}{status_code}, 1002, 'another provider');

is(scalar(grep { /good/ } $up->keys_used()), 0, 'no other key for these');

###############################################################################
