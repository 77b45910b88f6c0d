#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for llm_stream_usage: asked for, read, and hidden from a client that did
# not ask.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF', server => <<'EOF', more => 'access_log %%TESTDIR%%/usage.log usage;');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-limited,sk-good;
    }

    upstream anthropic {
        llm_provider anthropic base=http://127.0.0.1:8081;
        llm_key sk-good;
    }

    llm_model alias openai/gpt-4o;
    llm_stream_usage on;

    log_format usage '$llm_total_tokens';

EOF

    llm_client_key master;

    location /off/ {
        rewrite ^/off(/.*) $1 break;
        %%LLM_PROXY%%
        llm_stream_usage off;
        proxy_pass https://$llm_upstream;
    }

EOF

my @chunks = map { '{"id":"c","choices":[{"index":0,"delta":{"content":"'
	. $_ . '"}}],"usage":null}' } 'a' .. 'c';
my $chunk = '{"id":"c","choices":[],"usage":{"prompt_tokens":3,'
	. '"completion_tokens":4,"total_tokens":7}}';

my $all = join '', map { "data: $_\n\n" } @chunks, $chunk, '[DONE]';
my $hidden = join '', map { "data: $_\n\n" } @chunks, '[DONE]';

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $what = $request->{body};
	my $headers = ['Content-Type' => 'text/event-stream'];

	return { status => 429, json => {}, headers => ['Retry-After' => 9] }
		if $request->{key} eq 'sk-limited';
	return { json => { usage => { total_tokens => 5 } } }
		unless $what =~ /"stream": ?true/;
	return { events => [$chunks[0], '[DONE]'] }
		unless $what =~ /"include_usage":\s*true/;
	return { headers => $headers,
		pieces => [map { ($_, 0.002) } $all =~ /(.{1,7}\D?)/gs] }
		if $what =~ /pieces/;
	return { headers => $headers, body => $all } if $what =~ /length/;
	return { events => [$chunks[0], 60, '[DONE]'] } if $what =~ /long/;
	return { headers => $headers, pieces => ['data: {"choices":[],"us'],
		end => 'close' } if $what =~ /broken/;
	return { events => [@chunks, $chunk, '[DONE]'] };
});

$t->run()->plan(30);

###############################################################################

my $n = 0;

sub tokens {
	wait_for(sub { (() = $t->read_file('usage.log') =~ /\n/g) > $n });
	return (split /\n/, $t->read_file('usage.log'))[$n++];
}

my $head = '"messages":[],"model":"gpt-4o","stream":true';

# what the client sends, and what the provider gets

my @cases = (
	['absent', "{$head}",
		"{\"stream_options\":{\"include_usage\":true},$head}"],
	['null', "{$head, \"stream_options\" : null}",
		"{$head, \"stream_options\":{\"include_usage\":true}}"],
	['empty', "{\"stream_options\":{ },$head}",
		"{\"stream_options\":{\"include_usage\":true },$head}"],
	['another', "{\"stream_options\":{\"x\":{}},$head}",
		"{\"stream_options\":{\"include_usage\":true,\"x\":{}},$head}"],
	['false', "{\"stream_options\":{\"include_usage\": false },$head}",
		"{\"stream_options\":{\"include_usage\":true },$head}"],
	['with a name', '{"metadata":{},"model":"alias","stream": true}',
		'{"stream_options":{"include_usage":true},"model":"gpt-4o",'
		. '"stream": true}'],
);

for my $case (@cases) {
	my ($name, $in, $out) = @$case;

	my $r = post('/v1/chat/completions', $in);

	is($up->last_request()->{body}, $out, "$name, asked for");
	is($r->{body}, $hidden, "$name, hidden");
	is(tokens(), 7, "$name, read");
}

# the other key got it, too

is((grep { $_->{key} eq 'sk-limited' } $up->requests())[0]->{body},
	$cases[0][2], 'each try');

# what is not touched

my $asked = "{\"stream_options\":{\"include_usage\":true},$head}";

is(post('/v1/chat/completions', $asked)->{body}, $all, 'the client asked');

for my $case (
	['of another kind', '/v1/chat/completions',
		"{\"stream_options\":1,$head}"],
	['no object', '/v1/chat/completions',
		"{\"stream_options\":{\"include_usage\":{}},$head}"],
	['no stream', '/v1/chat/completions', '{"model":"gpt-4o"}'],
	['another call', '/v1/responses', "{$head}"],
	['another shape', '/anthropic/v1/messages', "{$head}"],
	['off', '/off/v1/chat/completions', "{$head}"],
) {
	my ($name, $uri, $body) = @$case;

	post($uri, $body);
	is($up->last_request()->{body}, $body, $name);
}

# in pieces, and with a length

is(chat('gpt-4o', stream => 1, text => 'pieces')->{body}, $hidden, 'pieces');

my $r = chat('gpt-4o', stream => 1, text => 'length');
ok($r->{body} eq $hidden && $r->{complete}, 'length');

# others are not held back, and nothing is lost

my $s = chat('gpt-4o', stream => 1, text => 'long', start => 1);
like(http_end($s, until => qr/"a"\}.*?\n\n/s, timeout => 5), qr/"a"\}/,
	'not held back');
close $s;

is(chat('gpt-4o', stream => 1, text => 'broken')->{body},
	'data: {"choices":[],"us', 'not lost');

###############################################################################
