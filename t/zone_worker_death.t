#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for a worker that is killed takes nothing with it.

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
        llm_key sk-1 max_conns=10;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	return { events => ['first', 120, 'last'] }
		if $_[0]->{body} =~ /"stream":true/;
	return { json => {} };
});

$t->expect_alerts(qr/exited on signal 9/)->run()->plan(9);

###############################################################################

sub in_flight {
	my $j = eval { json(get('/health')) } or return -1;
	return $j->{healthy_endpoints}[0]{in_flight} // -1;
}

sub streams {
	my ($n) = @_;
	my @s = map { chat('gpt-4o', stream => 1, start => 1) } 1 .. $n;
	http_end($_, until => qr/first/) for @s;
	return @s;
}

my @streams = streams(10);
is(in_flight(), 10, 'streams');
is(chat('gpt-4o')->{status}, 429, 'no more');

my @before = $t->workers();
kill 'KILL', @before;

ok(wait_for(sub { my @now = grep { my $p = $_; !grep { $_ == $p } @before }
	$t->workers(); @now == 2 }), 'new workers');
ok(wait_for(sub { in_flight() == 0 }, 5), 'nothing in flight')
	or diag(in_flight());
is(chat('gpt-4o')->{status}, 200, 'the key can be used');

# one that was draining after a reload, and is not replaced

@streams = streams(8);
$t->reload();
is(in_flight(), 8, 'streams of old workers');

my @more = streams(2);
kill 'KILL', $t->workers('old');
ok(wait_for(sub { in_flight() == 2 }, 5), 'only theirs are gone')
	or diag(in_flight());

# and one that dies while it holds nothing

kill 'KILL', ($t->workers())[0];
ok(wait_for(sub { my $n = in_flight(); $n >= 0 && $n <= 2 }), 'others go on');
ok(wait_for(sub { chat('gpt-4o')->{status} == 200 }), 'it works');

###############################################################################
