#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for refused keys that come back: by one real request, which goes on
# with another key if it is refused again.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;', spread => 1,
	http => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2;
    }

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8082/v1beta;
        llm_key AIza-1,AIza-2;
    }

EOF

# keys that are not in the file are refused; to those who ask for it slowly,
# so that others have the chance to be a second try

sub good { $t->write_file('good', join "\n", @_) }

my $openai = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $answer = LLMUpstream::refuses($request,
		keys => [split /\n/, $t->read_file('good')]) || { json => {} };

	$answer->{wait} = 0.5 if $request->{key} eq 'sk-1'
		&& $request->{body} =~ /slow/;
	return $answer;
});

my $gemini = LLMUpstream->start($t, 8082, sub {
	my ($request) = @_;

	return { json => {} } unless $request->{key} eq 'AIza-1';
	return { status => 429, json => [ { error => { code => 429,
		status => 'RESOURCE_EXHAUSTED', message => 'quota', details => [
		{ '@type' => 'type.googleapis.com/google.rpc.QuotaFailure',
		violations => [ { quotaId =>
		'GenerateRequestsPerDayPerProjectPerModel-FreeTier',
		quotaMetric => 'generate_content_free_tier_requests',
		quotaValue => '20' } ] },
		{ '@type' => 'type.googleapis.com/google.rpc.RetryInfo',
		retryDelay => '18s' } ] } } ] };
});

sub key {
	my ($name) = @_;
	my ($key) = grep { $_->{key} eq $name } map { @$_ }
		@{json(get('/health'))}{qw/healthy_endpoints unhealthy_endpoints/};
	return $key;
}

# how often each key was asked for so many requests at once, and what failed

sub used {
	my ($count, %o) = @_;

	$openai->clear();

	my @open = map { chat('gpt-4o', start => 1, %o) } 1 .. $count;
	my $failed = grep { LLMTest::parse(http_end($_))->{status} != 200 } @open;
	my %n = (failed => $failed, 'sk-1' => 0, 'sk-2' => 0);

	$n{$_}++ for $openai->keys_used();

	return \%n;
}

good('sk-2');

# it is noon at the Pacific coast, in winter

$t->clock(1894737600)->run()->plan(27);

###############################################################################

is(used(2)->{failed}, 0, 'refused unseen');
is(key('openai-1')->{state}, 'finished', 'state');

$t->advance(58);
is(used(4)->{'sk-1'}, 0, 'not asked within a minute');

# half open: one of many, over all workers

$t->advance(3);
my $n = used(12, text => 'slow');
is($n->{failed}, 0, 'no client sees the refusal');
is($n->{'sk-1'}, 1, 'one request is the try');
is($n->{'sk-2'}, 12, 'and goes on with another key');

# then twice as long, up to an hour

for my $wait (120, 240, 480, 960, 1920, 3600, 3600) {
	my $left = key('openai-1')->{retry_after};
	ok($left > $wait - 10 && $left <= $wait, "then out for $wait s")
		or diag($left);

	$t->advance($left + 1);
	$n = used(3);
	is($n->{'sk-1'}, 1, 'and tried') if $wait == 3600;
}

is($n->{failed}, 0, 'unseen at last');

# it is good again: then for all at once

good('sk-1', 'sk-2');
$t->advance(3601);
is(used(1)->{'sk-1'}, 1, 'the try');
is(key('openai-1')->{state}, 'usable', 'it is back');
is(used(10)->{'sk-1'}, 5, 'with its share');
ok($t->logged(qr/key "openai-1" of upstream "openai" is back: status 200/),
	'log');

# and what it was is forgotten

good('sk-2');
used(2);
my $left = key('openai-1')->{retry_after};
ok($left > 55 && $left <= 60, 'a minute at first') or diag($left);

# a client that leaves during the try: another one gets it, after a while

$t->advance(61);
$openai->clear();
my @left = map { chat('gpt-4o', text => 'slow', start => 1) } 1 .. 2;
wait_for(sub { grep { $_ eq 'sk-1' } $openai->keys_used() });
close $_ for @left;
ok(wait_for(sub { !key('openai-1')->{in_flight} }), 'the client is gone');
$t->advance(31);
is(used(2)->{'sk-1'}, 1, 'another one is the try');

# Gemini's day, whatever RetryInfo says

my ($date) = get('/health')->{headers}{date} =~ /(\d\d):(\d\d):(\d\d)/;
my ($h, $m, $s) = ($1, $2, $3);

is(chat('gemini/gemini-2.5-flash')->{status}, 200, 'another project');
$left = key('gemini-1')->{retry_after};
my $day = (32 - $h) % 24 * 3600 - $m * 60 - $s;
ok(abs($left - $day) < 10, 'out until midnight') or diag("$left, $day");

$t->advance($left - 10);
$gemini->clear();
chat('gemini/gemini-2.5-flash') for 1 .. 4;
is(scalar(grep { $_ eq 'AIza-1' } $gemini->keys_used()), 0, 'not before');

$t->advance(11);
chat('gemini/gemini-2.5-flash') for 1 .. 2;
is(scalar(grep { $_ eq 'AIza-1' } $gemini->keys_used()), 1, 'and then');

###############################################################################
