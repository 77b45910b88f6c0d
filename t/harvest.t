#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the simulated provider of "make harvest": it refuses what real ones
# refuse, and tells of its limits as they do.  Under a clock of its own.

###############################################################################

use warnings;
use strict;

use Test::More;
use IPC::Open2;
use JSON::PP;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

my $provider = "$LLMTest::ROOT/t/harvest/provider.py";
my $json = JSON::PP->new->canonical;

plan(tests => 49);

###############################################################################

# a provider with some organisations is asked at the times given; the answers,
# and its counts at the end

sub replay {
	my ($spec, @asked) = @_;

	my $pid = open2(my $out, my $in, 'python3', '-B', $provider, '--replay',
		$json->encode($spec));

	print $in $json->encode($_), "\n" for @asked, { at => $asked[-1]{at} };
	close $in;

	my @answers = map { $json->decode($_) } <$out>;
	waitpid $pid, 0;

	is($?, 0, 'replayed');

	return @answers;
}


# 100 tokens of prompt and 50 to generate, unless told otherwise

sub ask {
	my ($at, $key, %o) = @_;

	my $messages = $o{messages} || [{ role => 'user', content => '' }];
	my $tokens = $o{tokens} || 150;

	my $body = { messages => $messages, max_tokens => $o{max_tokens} || 50,
		pad => '' };

	if (!$o{messages}) {
		my $want = 4 * ($tokens - $body->{max_tokens});
		$body->{pad} = 'x' x ($want - length $json->encode($body));
	}

	return { at => $at, key => $key, body => $json->encode($body) };
}


sub statuses { join ' ', map { $_->{status} // () } @_ }


sub organisation {
	my ($name, $rpm, $tpm, %o) = @_;
	return { name => $name, rpm => $rpm, tpm => $tpm, keys => ["sk-$name"],
		%o };
}

###############################################################################

# requests: three at once, and one more for each twenty seconds

my @a = replay({ organisations => [organisation('a', 3, 0)] },
	ask(0, 'sk-a'), ask(0, 'sk-a'), ask(0, 'sk-a'), ask(0, 'sk-a'),
	ask(19.9, 'sk-a'), ask(20, 'sk-a'), ask(39.9, 'sk-a'), ask(40, 'sk-a'),
	ask(1000, 'sk-a'), ask(1000, 'sk-a'), ask(1000, 'sk-a'),
	ask(1000, 'sk-a'));

is(statuses(@a), '200 200 200 429 429 200 429 200 200 200 200 429',
	'requests refill, up to the limit');
is($a[0]{headers}{'x-ratelimit-limit-requests'}, 3, 'limit');
is($a[0]{headers}{'x-ratelimit-remaining-requests'}, 2, 'remaining');
is($a[0]{headers}{'x-ratelimit-reset-requests'}, '20s', 'reset when full');
is($a[2]{headers}{'x-ratelimit-reset-requests'}, '1m0s', 'reset, in minutes');
is($a[0]{headers}{'x-ratelimit-limit-tokens'}, undef, 'no limit, no header');
is($a[3]{headers}{'retry-after'}, 20, 'retry-after');
is($a[3]{headers}{'retry-after-ms'}, 20000, 'retry-after-ms');
is($a[4]{headers}{'retry-after-ms'}, 100, 'retry-after-ms, a part');
is($a[4]{headers}{'retry-after'}, 1, 'retry-after, rounded up');
is($a[3]{body}{error}{code}, 'rate_limit_exceeded', 'code');
is($a[3]{body}{error}{type}, 'requests', 'which limit');

my $c = $a[-1]{keys}{'sk-a'};

is($c->{accepted}, 8, 'accepted');
is($c->{refused}, 4, 'refused');
is($c->{refused_requests}, 4, 'for requests');
is($c->{tokens}, 8 * 150, 'tokens');
is($a[-1]{elapsed}, 1000, 'time');

# tokens: a quarter of 600, so one request; a large one is refused where a
# small one is not, and a refusal takes neither requests nor tokens

@a = replay({ organisations => [organisation('a', 100, 600, fill => 0.25)] },
	ask(0, 'sk-a', tokens => 151), ask(0, 'sk-a'), ask(0, 'sk-a'),
	ask(5, 'sk-a', tokens => 51, max_tokens => 1),
	ask(5, 'sk-a', tokens => 50, max_tokens => 1), ask(19.9, 'sk-a'),
	ask(20, 'sk-a'), ask(1000, 'sk-a', tokens => 601),
	ask(1000, 'sk-a', tokens => 600));

is(statuses(@a), '429 200 429 429 200 429 200 429 200',
	'tokens refill, by what a request needs');
is($a[1]{headers}{'x-ratelimit-remaining-tokens'}, 0, 'remaining tokens');
is($a[1]{headers}{'x-ratelimit-remaining-requests'}, 24,
	'a refusal costs nothing');
is($a[1]{headers}{'x-ratelimit-reset-tokens'}, '1m0s', 'reset of tokens');
is($a[2]{headers}{'retry-after-ms'}, 15000, 'retry-after of tokens');
is($a[2]{body}{error}{type}, 'tokens', 'the other limit');
is($a[1]{body}{usage}{total_tokens}, 150, 'usage');
is($a[1]{body}{usage}{prompt_tokens}, 100, 'prompt');

# the longer wait of the two, whichever refuses

@a = replay({ organisations => [organisation('a', 1, 600)] },
	ask(0, 'sk-a', tokens => 600), ask(30, 'sk-a', tokens => 600));

is($a[1]{headers}{'retry-after-ms'}, 30000, 'until both have enough');

# two keys of an organisation, and one of another

@a = replay({ organisations => [
	organisation('a', 2, 0, keys => ['sk-1', 'sk-2']),
	organisation('b', 1, 0) ] },
	ask(0, 'sk-1'), ask(0, 'sk-2'), ask(0, 'sk-1'), ask(0, 'sk-2'),
	ask(0, 'sk-b'), ask(0, 'sk-b'), ask(0, 'sk-x'));

is(statuses(@a), '200 200 429 429 200 429 401', 'keys share a bucket');
is($a[1]{headers}{'openai-organization'}, 'a', 'name of the organisation');
is($a[-1]{keys}{'sk-2'}{accepted}, 1, 'counts are of the key');
is($a[6]{body}{error}{code}, 'invalid_api_key', 'unknown key');

# silent

@a = replay({ mode => 'silent', organisations => [organisation('a', 1, 99e3)] },
	ask(0, 'sk-a'), ask(0, 'sk-a'));

is(statuses(@a), '200 429', 'silent, refuses');
is_deeply($a[0]{headers}, {}, 'silent on success');
is_deeply($a[1]{headers}, {}, 'silent on a refusal');
is_deeply([keys %{$a[1]{body}{error}}], ['message'], 'bare');

# prompt cache: a conversation that grows, by organisation, for a time

my @talk = map { { role => 'user', content => $_ x 4096 } } qw/a b c/;

@a = replay({ organisations => [
	organisation('a', 0, 0, keys => ['sk-1', 'sk-2']),
	organisation('b', 0, 0)], ttl => 60 },
	ask(0, 'sk-1', messages => [@talk[0, 1]]),
	ask(1, 'sk-2', messages => [@talk]),
	ask(2, 'sk-1', messages => [@talk[0, 2]]),
	ask(3, 'sk-b', messages => [@talk]),
	ask(62, 'sk-1', messages => [@talk]),
	ask(63, 'sk-1', messages => [{ role => 'user', content => 'short' }]),
	ask(64, 'sk-1', messages => [{ role => 'user', content => 'short' }]));

is(join(' ', map { $_->{body}{usage}{prompt_tokens_details}{cached_tokens} }
		@a[0 .. 6]), '0 2048 1024 0 0 0 0', 'cached tokens');
is($a[-1]{keys}{'sk-1'}{cached}, 1024, 'counts of cached tokens');
is($a[-1]{keys}{'sk-2'}{hits}, 1, 'counts of hits');

# over HTTP: connections are kept

my $pid = open2(my $out, my $in, 'python3', '-B', $provider,
	$json->encode({ organisations => [organisation('master', 1, 0)] }));

my $port = <$out>;
chomp $port;

my $s = IO::Socket::INET->new("127.0.0.1:$port");

sub over {
	my ($line, $key, $body) = @_;

	return LLMTest::parse(http("$line HTTP/1.1\r\n"
		. "Host: localhost\r\nAuthorization: Bearer $key\r\n"
		. 'Content-Length: ' . length($body) . "\r\n\r\n$body",
		socket => $s, until => qr/\r\n\r\n.*\}$/s));
}

my $chat = ask(0, '')->{body};

is(over('POST /v1/chat/completions', 'sk-master', $chat)->{status}, 200,
	'over HTTP');

my $r = over('POST /v1/chat/completions', 'sk-master', $chat);

is($r->{status}, 429, 'refused on the same connection');
like($r->{headers}{'retry-after'}, qr/^\d+$/, 'with headers');

is(json(over('GET /admin/counts', '', ''))->{keys}{'sk-master'}{refused}, 1,
	'counts over HTTP');

over('POST /admin/start', '', '');

is(over('POST /v1/chat/completions', 'sk-master', $chat)->{status}, 200,
	'started again');

# whoever started it is gone

close $in;
waitpid $pid, 0;

is($?, 0, 'ends with its input');

###############################################################################
