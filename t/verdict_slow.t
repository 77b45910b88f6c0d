#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for an error whose body is slow: it is judged by what there is, and
# passed on as it comes when there is no other key.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF',

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-slow,sk-good;
    }

    upstream groq {
        llm_provider groq base=http://127.0.0.1:8081/openai/v1;
        llm_key gsk-slow;
    }

    upstream mistral {
        llm_provider mistral base=http://127.0.0.1:8081/v1;
        llm_key msk-stall;
    }

    upstream xai {
        llm_provider xai base=http://127.0.0.1:8081/v1;
        llm_key xsk-chunked,xsk-good;
    }

    upstream deepseek {
        llm_provider deepseek base=http://127.0.0.1:8081/v1;
        llm_key dsk-large,dsk-good;
    }

EOF
	instead => 'proxy_read_timeout 2s;');

my @parts = ('{"error":{"code":"insufficient_quota","message":"',
	'the rest"}}');
my $length = length join '', @parts;

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $key = $request->{key};

	return { json => { ok => 1 } } if $key =~ /good/;

	my $head = "HTTP/1.1 429 Too Many\r\nContent-Type: application/json\r\n";

	return { raw => [$head . "Content-Length: $length\r\n\r\n$parts[0]", 3,
		$parts[1]], end => 'stall' } if $key eq 'sk-slow';

	return { raw => [$head . "Retry-After: 9\r\nContent-Length: 13\r\n\r\n"
		. '{"slow"', 3, ':true}'], end => 'stall' } if $key eq 'gsk-slow';

	return { raw => [$head . "Retry-After: 9\r\nContent-Length: 500\r\n\r\n"],
		end => 'stall' } if $key eq 'msk-stall';

	return { raw => [$head . "Retry-After: 9\r\n"
		. "Transfer-Encoding: chunked\r\n\r\n", 0.1, "7\r\n{\"slow\"\r\n"],
		end => 'stall' } if $key eq 'xsk-chunked';

	return { status => 429, body => '{"error":{"code":"insufficient_quota",'
		. '"message":"' . 'x' x 50000 . '"}}' };
});

sub state_of {
	my ($name) = @_;
	my ($e) = grep { $_->{key} eq $name } map { @{json(get('/health'))->{$_}} }
		qw/healthy_endpoints unhealthy_endpoints/;
	return $e->{state};
}

$t->run()->plan(16);

###############################################################################

my $r = chat('gpt-4o');
is($r->{status}, 200, 'another key answered');
is(join(' ', $up->keys_used()), 'sk-slow sk-good', 'the next one');
is(state_of('openai-1'), 'finished', 'by the code that had come');

$r = chat('xai/x');
is($r->{status}, 200, 'chunked, another key answered');
is(state_of('xai-1'), 'cooling', 'by its status');

$r = chat('deepseek/x');
is($r->{status}, 200, 'larger than the buffer, another key answered');
is(state_of('deepseek-1'), 'finished', 'by its beginning');

# the only key: its answer reaches the client, the head before the body

$r = chat('groq/x');
is($r->{status}, 429, 'no other key, its status');
is($r->{headers}{'retry-after'}, '9', 'its headers');
is($r->{body}, '{"slow":true}', 'its body');
is(state_of('groq-1'), 'cooling', 'and it is out');

my $s = http_start("POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\n"
	. "Authorization: Bearer master\r\nContent-Type: application/json\r\n"
	. "Content-Length: 21\r\n\r\n" . '{"model":"mistral/x"}');
like(http_end($s, until => qr/\r\n\r\n/), qr/^HTTP\/1.1 429 /,
	'a body that never comes, its status');
is(state_of('mistral-1'), 'cooling', 'and it is out');

sub in_flight {
	my $n = 0;
	$n += $_->{in_flight} for map { @{$_->{healthy_endpoints}},
		@{$_->{unhealthy_endpoints}} } json(get('/health'));
	return $n;
}

close $s;
ok(wait_for(sub { in_flight() == 0 }), 'nothing is left in flight');

# a client that goes away while a body is waited for

ok(wait_for(sub { state_of('groq-1') eq 'usable' }, 15), 'it is back');

$s = http_start("POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\n"
	. "Authorization: Bearer master\r\nContent-Type: application/json\r\n"
	. "Content-Length: 18\r\n\r\n" . '{"model":"groq/x"}');
wait_for(sub { in_flight() == 1 });
close $s;

ok(wait_for(sub { in_flight() == 0 }, 1.5), 'a client that went away');

###############################################################################
