#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for llm_queue: a request waits for a key instead of failing.

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
        llm_key sk-1 max_conns=1;
        llm_queue 10s 2;
    }

    upstream brief {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_key sk-1;
        llm_queue 1s 8;
    }

    upstream full {
        llm_provider custom base=http://127.0.0.1:8083/v1;
        llm_key sk-1 max_conns=1;
        llm_queue 10s 8;
    }

    upstream fallback {
        llm_provider custom base=http://127.0.0.1:8084/v1;
        llm_key sk-1;
    }

    llm_model chain openai/gpt-4o fallback/x;

EOF

# each key answers 429 as long as a file says so

my ($openai, $brief, $full, $fallback) = map {
	my $num = $_;
	LLMUpstream->start($t, $num, sub {
		my ($request) = @_;
		return { wait => 0.4, json => { n => $request->{n} } }
			if $num == 8083;
		return { status => 429, headers => ['Retry-After' => $1],
			json => { error => { message => 'slow down' } } }
			if $request->{body} =~ /first-(\d+)/ && $request->{n} % 2
			|| $request->{body} =~ /always-(\d+)/;
		return { json => { ok => $num } };
	});
} 8081 .. 8084;

$t->run()->plan(21);

###############################################################################

# the last try of a request that runs: it waits, and goes on with the same key

my $r = chat('openai/gpt-4o', text => 'first-2');
is($r->{status}, 200, 'waited after a 429');
is(scalar $openai->requests(), 2, 'two tries');
is(json($r)->{ok}, 8081, 'answer');
is(($openai->requests())[0]->{md5}, ($openai->requests())[1]->{md5},
	'the same body');

# others come while it waits: they wait behind it, up to two at once

$openai->clear();
my @s = chat('openai/gpt-4o', text => 'first-2', start => 1);
ok(wait_for(sub { scalar $openai->requests() == 1 }), 'one is limited');
push @s, chat('openai/gpt-4o', text => 'later', start => 1);
ok(wait_for(sub { tickets() == 2 }), 'two wait') or diag tickets();

$r = chat('openai/gpt-4o', text => 'third');
is($r->{status}, 429, 'no place for a third');
ok($r->{headers}{'retry-after'} <= 2, 'it is told when');

my @r = map { LLMTest::parse(LLMTest::http_end($_, until => qr/\}$/)) } @s;
is(join(' ', map { $_->{status} } @r), '200 200', 'both are served');
like(($openai->requests())[1]->{body}, qr/first/, 'first come, first served');
like(($openai->requests())[2]->{body}, qr/later/, 'then the other');

# not longer than is said; the answer is the provider's then

$r = chat('brief/x', text => 'first-5');
is($r->{status}, 429, 'no hope within the time');
is(json($r)->{error}{message}, 'slow down', "the provider's answer");
is($r->{headers}{'retry-after'}, 5, 'its header');

$r = chat('brief/x', text => 'x');
is($r->{status}, 429, 'nor for others');
is(json($r)->{error}{code}, 'rate_limit_exceeded', 'our answer');

# max_conns

@s = map { chat('full/x', text => $_, start => 1) } 1 .. 4;
@r = map { LLMTest::parse(LLMTest::http_end($_, until => qr/\}$/)) } @s;
is(join(' ', map { $_->{status} } @r), '200 200 200 200',
	'one after the other');

# who goes away leaves no ticket

$openai->clear();
$r = chat('openai/gpt-4o', text => 'always-6');
is($r->{status}, 429, 'again and again') or diag explain $r;
my $s = chat('openai/gpt-4o', text => 'gone', start => 1);
close $s;

# a fallback goes before the queue

$r = chat('chain', text => 'x');
is($r->{status}, 200, 'a chain does not wait');
is(json($r)->{ok}, 8084, 'but falls back');

ok(wait_for(sub { tickets() == 0 }), 'nobody waits in the end');

sub tickets {
	my $log = $t->read_file('error.log');
	my $in = () = $log =~ /llm waits for a key/g;
	my $out = () = $log =~ /llm waits no more/g;
	return $in - $out;
}

###############################################################################
