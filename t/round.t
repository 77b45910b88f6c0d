#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for a whole round: a large chat, a stream, an upload and a list, with keys
# that answer 429 and 500 among the good ones.

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
        llm_key sk-limited,sk-ill,sk-good;
        keepalive 8;
    }

    llm_model large openai/gpt-4o;

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;

	return { status => 429, headers => ['Retry-After' => 1], json =>
		{ error => { message => 'Rate limit', code => 'rate_limit_exceeded' } } }
		if $request->{key} eq 'sk-limited';
	return { status => 500, json => { error => { message => 'Oops' } } }
		if $request->{key} eq 'sk-ill';

	return LLMUpstream::refuses($request, keys => ['sk-good'])
		|| ($request->{body} =~ /"stream":true/
			? { events => [map { ("{\"n\":$_}", 0.01) } 1 .. 5, '[DONE]'] }
			: { json => { length => length $request->{body} } });
});

$t->run()->plan(5);

###############################################################################

my $rounds = $ENV{TEST_NGINX_VALGRIND} ? 2 : 6;
my (%status, $sent, $received);

my $wav = join '', map { chr(($_ * 11) % 256) } 1 .. 100_000;
my $form = "--B\r\nContent-Disposition: form-data; name=\"file\"; "
	. "filename=\"a.wav\"\r\n\r\n$wav\r\n--B\r\nContent-Disposition: form-data; "
	. "name=\"model\"\r\n\r\nopenai/whisper-1\r\n--B--\r\n";

for my $round (1 .. $rounds) {
	for my $what (
		sub { chat('large', text => 'x' x 3_000_000) },
		sub { chat('gpt-4o', stream => 1) },
		sub { post('/v1/audio/transcriptions', $form, headers =>
			['Content-Type' => 'multipart/form-data; boundary=B']) },
		sub { get('/openai/v1/models') },
		sub { chat('openai/gpt-4o') },
	)
	{
		my $r = $what->();
		$status{$r->{status}}++;
		$received++ if $r->{complete};
		$sent++;
	}
}

is(join(' ', map { "$_: $status{$_}" } sort keys %status), '200: ' . $sent,
	'nothing but 200');
is($received, $sent, 'all whole');

my %n;
$n{$_}++ for $up->keys_used();

is($n{'sk-good'}, $sent, 'by the good key');
ok($n{'sk-limited'} && $n{'sk-ill'}, 'with the others among them');
is(scalar(grep { $_->{status} && $_->{status} == 400 } $up->requests()), 0,
	'nothing leaked');

###############################################################################
