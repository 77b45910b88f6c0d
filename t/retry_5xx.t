#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for an upstream that is ill: one more key, then its answer.

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
        llm_key sk-1,sk-2,sk-3,sk-4;
    }

    log_format tries '$status|$llm_tries|$upstream_status';

EOF

my $conf = $t->read_file('nginx.conf');
$conf =~ s/(server_name localhost;)/$1 access_log $t->{_dir}\/tries.log tries;/;
$t->write_file('nginx.conf', $conf);

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($what) = $request->{body} =~ /"content":"([^"]*)"/;
	my %script = map { /(.*)=(.*)/ } split /,/, $what;
	my $status = $script{$request->{key}} || $script{all};

	return { json => { ok => 1 } } unless $status;
	return { end => 'reset', raw => [''] } if $status eq 'reset';
	return { raw => [''] } if $status eq 'close';
	return { status => $status, json => { error => {
		message => "status $status" } } };
});

sub state_of {
	my ($name) = @_;
	my ($e) = grep { $_->{key} eq $name } map { @{json(get('/health'))->{$_}} }
		qw/healthy_endpoints unhealthy_endpoints/;
	return $e->{state};
}

$t->run()->plan(47);

###############################################################################

# the order of keys goes on from request to request: each starts at the next

for my $status (500, 502, 503, 504, 408, 520, 524, 'reset', 'close') {
	# an upstream that answers in between is not ill as a whole

	chat('gpt-4o') for 1 .. 3;
	$up->clear();

	my $r = chat('gpt-4o', text => 'all=' . $status);
	my @keys = $up->keys_used();

	is(scalar @keys, 2, "$status, two keys");
	isnt($keys[0], $keys[1], "$status, not the same");

	if ($status =~ /^\d/) {
		is($r->{status}, $status, "$status reaches the client");
		is(json($r)->{error}{message}, "status $status",
			"$status, with its body");

	} else {
		is($r->{status}, 503, "$status is a 503 for the client");
		is(json($r)->{error}{type}, 'server_error', "$status, with a body");
	}
}

is(state_of("openai-$_"), 'usable', "key $_ is not to blame") for 1 .. 4;

# one ill answer and a limit: there is another key for that

$up->clear();
chat('gpt-4o') for 1 .. 4;
my @order = $up->keys_used();

is(chat('gpt-4o', text => "$order[0]=500,$order[1]=429")->{status}, 200,
	'500, then 429');
ok(wait_for(sub { $t->read_file('tries.log') =~ /^200\|3\|500, 429, 200$/m }),
	'three tries');

# statuses that nginx has no name for

for my $status (529, 498, 402) {
	$up->clear();
	chat('gpt-4o') for 1 .. 4;
	my ($key) = grep { state_of('openai-' . substr $_, -1) eq 'usable' }
		$up->keys_used();
	$up->clear();

	is(chat('gpt-4o', text => "$key=$status")->{status}, 200,
		"$status, another key");
}

# wrong requests do not travel

$up->clear();

is(chat('gpt-4o', text => 'all=400')->{status}, 400, 'status 400');
is(scalar $up->requests(), 1, '400, once');

###############################################################################
