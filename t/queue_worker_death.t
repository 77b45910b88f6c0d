#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for llm_queue when workers end: what waited in one that is killed does
# not keep others waiting, and a reload lets those that wait wait on.

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
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-1 max_conns=1;
        llm_queue 30s 64;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	return { status => 429, headers => ['Retry-After' => 2], json => {} }
		if $request->{body} =~ /limit/;
	return { json => {} };
});

$t->expect_alerts(qr/exited on signal 9/)->run()->plan(6);

###############################################################################

sub waiting {
	my $log = $t->read_file('error.log');
	my $in = () = $log =~ /llm waits for a key/g;
	my $out = () = $log =~ /llm waits no more/g;
	return $in - $out;
}

sub start {
	return map { chat('openai/x', text => $_, start => 1) } @_;
}

sub statuses {
	return join ' ', map { LLMTest::parse(LLMTest::http_end($_,
		until => qr/\r\n\r\n\{.*\}$/s))->{status} } @_;
}

# a worker with tickets is killed

my $last = chat('openai/x', text => 'limit', start => 1);
wait_for(sub { waiting() == 1 });

my @s = start(1 .. 12);
ok(wait_for(sub { waiting() == 13 }), 'all wait') or diag(waiting());

close $last;

my ($victim) = $t->workers();
kill 'KILL', $victim;

ok(wait_for(sub { 2 == grep { $_ != $victim } $t->workers() }),
	'another worker');

is(chat('openai/x')->{status}, 200, 'a new one is served');

my $statuses = statuses(@s);
like($statuses, qr/^(200|0)( (200|0)){11}$/, "so are the others, $statuses");

# a reload

$last = chat('openai/x', text => 'limit', start => 1);
my $before = $up->requests();
wait_for(sub { json(get('/health'))->{unhealthy_count} });

@s = start(1 .. 4);
$t->reload();
close $last;
is(statuses(@s), '200 200 200 200', 'those that wait are served by the old');
is(chat('openai/x')->{status}, 200, 'and others by the new');


###############################################################################
