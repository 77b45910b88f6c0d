#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for backup keys: used when the others cannot be, under each policy.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my @policies = qw/round_robin least_conn headroom affinity/;

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;',
	http => join '', map { <<EOF } @policies);

    upstream $_ {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_balance $_;
        llm_key backup-$_-1,backup-$_-2 name=backup backup;
        llm_key $_-1,$_-2 max_conns=2;
    }

EOF

# keys at their limits are in a file; "hang" never ends

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;

	return { status => 429, headers => ['Retry-After' => 10], json => {} }
		if $t->read_file('limited') =~ /^$request->{key}$/m;
	return { wait => 120 } if $request->{body} =~ /hang/;
	return LLMUpstream::refuses($request, keys => [$request->{key}])
		|| { json => {} };
});

sub limited { $t->write_file('limited', join '', map { "$_\n" } @_) }

sub used {
	my ($policy, $count) = @_;
	my %keys;
	$up->clear();

	# conversations of their own

	my $failed = grep { chat("$policy/x", text => "Question $_")->{status}
		!= 200 } 1 .. $count;
	$keys{s/\Q$policy-//r}++ for $up->keys_used();
	return join ' ', sort(keys %keys), $failed ? "failed $failed" : ();
}

sub in_flight {
	my $n = 0;
	$n += $_->{in_flight} for @{json(get('/health'))->{healthy_endpoints}};
	return $n;
}

limited();

$t->clock()->run()->plan(9 * @policies);

###############################################################################

for my $policy (@policies) {
	is(used($policy, 20), '1 2', "$policy: primaries");

	limited("$policy-1");
	used($policy, 10);
	is(used($policy, 10), '2', 'as long as there is one');

	limited("$policy-1", "$policy-2");
	used($policy, 10);
	is(used($policy, 20), 'backup-1 backup-2', 'then backups');

	limited();
	$t->advance(11);
	is(used($policy, 20), '1 2', 'primaries again');

	# at max_conns they cannot either

	$up->clear();
	my @open = map { chat("$policy/x", start => 1, text => "hang $_") } 1 .. 4;
	ok(wait_for(sub { $up->requests() == 4 }), 'four run');

	my %n;
	$n{$_}++ for $up->keys_used();
	is(join(' ', map { "$_=$n{$_}" } sort keys %n), "$policy-1=2 $policy-2=2",
		'by primaries');
	is(used($policy, 20), 'backup-1 backup-2', 'they are full');

	close $_ for @open;
	ok(wait_for(sub { in_flight() == 0 }), 'they end');
	is(used($policy, 20), '1 2', 'primaries again');
}

###############################################################################
