#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for "llm_balance least_conn": what is in flight with a key, over all
# workers, decides.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;', http => <<'EOF',

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_balance least_conn;
        llm_key sk-1;
        llm_key sk-2,sk-3 models=gpt-*;
    }

    upstream groq {
        llm_provider groq base=http://127.0.0.1:8082/openai/v1;
        llm_balance least_conn;
        llm_key gsk-3 weight=3;
        llm_key gsk-1;
    }

EOF
	more => 'add_header X-Worker $pid always;', spread => 1);

# streams do not end

my ($openai, $groq) = map { LLMUpstream->start($t, $_, sub {
	my ($request) = @_;

	return LLMUpstream::refuses($request,
			keys => [qw/sk-1 sk-2 sk-3 gsk-1 gsk-3/])
		|| ($request->{body} =~ /"stream":true/
			? { events => ['first', 120, 'last'] } : { json => {} });
}) } 8081, 8082;

sub in_flight {
	return { map { $_->{key} => $_->{in_flight} }
		@{json(get('/health'))->{healthy_endpoints}} };
}

# opens a stream: its socket, and the worker that has it

sub stream {
	my ($model) = @_;
	my $s = chat($model, stream => 1, start => 1);
	my ($worker) = http_end($s, until => qr/first/) =~ /X-Worker: (\d+)/;
	return ($s, $worker);
}

sub used {
	my ($up, $count, $model) = @_;
	$up->clear();
	chat($model) for 1 .. $count;
	return join ' ', $up->keys_used();
}

$t->run()->plan(12);

###############################################################################

is(used($openai, 6, 'gpt-4o'), 'sk-1 sk-2 sk-3 sk-1 sk-2 sk-3',
	'ties in turn');

# only the first key is for this one

my (@streams, %workers);

while (@streams < 4 || (keys %workers < 2 && @streams < 200)) {
	my ($s, $worker) = stream('o3');
	push @streams, $s;
	$workers{$worker}++;
}

is(in_flight()->{'openai-1'}, scalar @streams, 'streams with one key');
is(scalar keys %workers, 2, 'of two workers');
is(used($openai, 4, 'gpt-4o'), 'sk-2 sk-3 sk-2 sk-3', 'others are taken');

# until they have as many

my @more = map { (stream('gpt-4o'))[0] } 1 .. 2 * @streams;
is_deeply([@{in_flight()}{qw/openai-1 openai-2 openai-3/}],
	[(scalar @streams) x 3], 'as many with each');

my %n;
$n{$_}++ for split / /, used($openai, 9, 'gpt-4o');
is(scalar(grep { abs($n{$_} - 3) > 1 } qw/sk-1 sk-2 sk-3/), 0, 'in turn again')
	or diag(join ' ', %n);

# one that is free of some is next

close pop @streams for 1 .. 2;
my $want = @streams;
ok(wait_for(sub { in_flight()->{'openai-1'} == $want }), 'two have ended');
is(used($openai, 3, 'gpt-4o'), 'sk-1 sk-1 sk-1', 'it is taken');

close $_ for @streams, @more;
ok(wait_for(sub { !grep { $_ } values %{in_flight()} }), 'all have ended');

# what others did meanwhile is not made up for

@streams = map { (stream('o3'))[0] } 1 .. 3;
used($openai, 20, 'gpt-4o');
close $_ for @streams;
wait_for(sub { !grep { $_ } values %{in_flight()} });
%n = ();
$n{$_}++ for split / /, used($openai, 9, 'gpt-4o');
is(scalar(grep { abs($n{$_} - 3) > 1 } qw/sk-1 sk-2 sk-3/), 0, 'no arrears')
	or diag(join ' ', %n);

# weights

@streams = map { (stream('groq/x'))[0] } 1 .. 8;
is_deeply([@{in_flight()}{qw/groq-1 groq-2/}], [6, 2], 'by weight');

push @streams, map { (stream('groq/x'))[0] } 1 .. 8;
is_deeply([@{in_flight()}{qw/groq-1 groq-2/}], [12, 4], 'again');

###############################################################################
