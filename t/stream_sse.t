#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for event streams: not held back, byte for byte, and ended when the client
# goes.

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
        llm_key sk-limited,sk-good;
        keepalive 4;
    }

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8081;
        llm_key sk-good;
    }

EOF

my @events = map { "{\"n\":$_,\"text\":\"\xc3\xbc\"}" } 1 .. 5;

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $what = $request->{body};

	return { status => 429, json => {}, headers => ['Retry-After' => 9] }
		if $request->{key} eq 'sk-limited';
	return { events => ['first', 60, 'last'] } if $what =~ /long/;
	return { headers => ['Content-Type' => 'application/json'],
		pieces => ['[{"a":1}', 60, ']'] } if $request->{path} =~ /streamG/;
	return { headers => ['Content-Type' => 'application/x-ndjson'],
		pieces => ["{}\n", 60, "{}\n"] } if $what =~ /ndjson/;
	return { events => [map { ($_, 0.01) } @events, '[DONE]'] };
});

$t->run()->plan(16);

###############################################################################

my $r = chat('gpt-4o', stream => 1);

is($r->{status}, 200, 'stream');
is($r->{headers}{'content-type'}, 'text/event-stream', 'type');
is($r->{body}, join('', map { "data: $_\n\n" } @events, '[DONE]'), 'events');
ok($r->{complete}, 'to its end');
is(join(' ', $up->keys_used()), 'sk-limited sk-good', 'by another key');

# the first event is there while the second is not

my $s = chat('gpt-4o', stream => 1, text => 'long', start => 1);
like(http_end($s, until => qr/first\n\n/, timeout => 5), qr/data: first\n\n/,
	'not held back');

sub in_flight {
	my $n = 0;
	$n += $_->{in_flight} for @{json(get('/health'))->{healthy_endpoints}};
	return $n;
}

is(in_flight(), 1, 'in flight');

close $s;
ok(wait_for(sub { $up->aborted() == 1 }), 'closed when the client went away');
ok(wait_for(sub { in_flight() == 0 }), 'not in flight');

# without "stream" in the request, by the type of the answer

$s = chat('gpt-4o', text => 'long', start => 1);
like(http_end($s, until => qr/first\n\n/, timeout => 5), qr/first\n\n/,
	'by its type');
close $s;

$s = chat('gpt-4o', text => 'ndjson', start => 1);
like(http_end($s, until => qr/\{\}\n/, timeout => 5), qr/\{\}\n/,
	'JSON lines');
close $s;

$s = post('/models/gemini-x:streamGenerateContent', '{}', start => 1);
like(http_end($s, until => qr/\{"a":1\}/, timeout => 5), qr/\{"a":1\}/,
	"Gemini's array");
close $s;

ok(wait_for(sub { $up->aborted() == 4 }), 'all closed');

# a client that goes before the answer has begun

$s = chat('gpt-4o', stream => 1, text => 'long', start => 1);
close $s;
ok(wait_for(sub { in_flight() == 0 }), 'gone before the first byte');

# the connection is used again after a stream has ended

$up->clear();
chat('gpt-4o', stream => 1) for 1 .. 2;
my @c = map { $_->{connection} } $up->requests();
is($c[0], $c[1], 'connections are kept');

is(json(get('/health'))->{unhealthy_count}, 1, 'nobody else is to blame');

###############################################################################
