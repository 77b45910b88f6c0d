#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for stored responses and conversations: what follows one goes to the
# account that has it, also while its stream is still open.

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

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2,sk-3;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($n, $body) = @$request{qw/n body/};
	my $id = $request->{path} =~ /conversations$/ ? "conv_$n" : "resp_$n";
	my $json = { id => $id, output => [ { type => 'message',
		id => "msg_$n", content => [] } ] };

	return { events => [
		"{\"type\":\"response.created\",\"response\":{\"id\":\"$id\"}}",
		$body =~ /"open":true/ ? 1 : (),
		'{"type":"response.completed","response":{"id":"' . $id . '",'
			. '"usage":{"total_tokens":5}}}' ] }
		if $body =~ /"stream":true/;

	return { json => $request->{path} =~ m!/resp_! ? { } : $json };
});

# a request, and the key that it went to

sub create {
	my ($body, %o) = @_;
	my $r = post($o{uri} || '/v1/responses', "{\"model\":\"gpt-4o\",$body}");
	my ($id) = $r->{body} =~ /"((?:resp|conv)_\d+)"/;
	return ($id, $up->last_request()->{key});
}

# keys take turns, so one that was used much is not used for some time

sub used {
	my ($code, $times) = @_;
	$up->clear();
	$code->() for 1 .. $times || 6;
	return join ' ', sort keys %{{ map { $_ => 1 } $up->keys_used() }};
}

sub follow {
	my ($id, $times) = @_;
	return used(sub { create("\"previous_response_id\":\"$id\"") }, $times);
}

$t->run()->plan(17);

###############################################################################

my ($id, $key) = create('"input":"a"');

is(follow($id), $key, 'what follows');
is(used(sub { get("/v1/responses/$id") }), $key, 'GET');
is(used(sub { get("/v1/responses/$id/input_items") }), $key, 'its parts');
is(used(sub { post("/v1/responses/$id/cancel", '') }), $key, 'cancel');

($id, $key) = create('"input":"a","store":true');
is(follow($id), $key, 'stored, as it says');

# a chain of them

my ($last, @keys) = ($id);

for (1 .. 5) {
	($last, my $used) = create("\"previous_response_id\":\"$last\"");
	push @keys, $used;
}

is("@keys", join(' ', ($key) x 5), 'a chain');

# what is not stored is not known

($id, $key) = create('"input":"a","store":false');
isnt(follow($id, 80), $key, 'not stored');

# streams

($id, $key) = create('"input":"a","stream":true');
like($id, qr/^resp_/, 'a stream');
is(follow($id), $key, 'what follows');

$up->clear();
my $s = post('/v1/responses', '{"model":"gpt-4o","stream":true,"open":true}',
	start => 1);
my $begin = http_end($s, until => qr/resp_\d+/);
($id) = $begin =~ /(resp_\d+)/;
$key = $up->last_request()->{key};
is(used(sub { get("/v1/responses/$id") }), $key, 'while it is open');
like(http_end($s), qr/completed/, 'which it was');

# conversations

($id, $key) = create('"a":1', uri => '/v1/conversations');
is(used(sub { create("\"conversation\":\"$id\"") }), $key, 'a conversation');
is(used(sub { create("\"conversation\":{\"id\":\"$id\"}") }), $key,
	'as an object');

# stored completions

$up->clear();
post('/v1/chat/completions', '{"model":"gpt-4o","messages":[],"store":true}');
$key = $up->last_request()->{key};
$id = 'resp_' . $up->last_request()->{n};
is(used(sub { get("/v1/chat/completions/$id") }), $key, 'a stored completion');

# things that only look like it

($id, $key) = create('"input":"a"');
isnt(used(sub { create("\"input\":\"$id\"") }, 80), $key, 'a text');
isnt(used(sub { create("\"metadata\":{\"file_id\":\"$id\"}") }, 80), $key,
	"the client's own");
is(follow($id), $key, 'which it did not change');

###############################################################################
