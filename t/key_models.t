#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for limits by model: where the provider has such, a key that is out
# for one is used for others.

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

    upstream custom {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_key c-1,c-2;
    }

    llm_model small openai/gpt-4o;

EOF

# keys and models that are at their limits are in a file

my ($openai, $custom) = map { LLMUpstream->start($t, $_, sub {
	my ($request) = @_;

	my ($model) = $request->{body} =~ /"model":\s*"([^"]*)"/;

	return { status => 429, headers => ['Retry-After' => 30], json => { error =>
		{ message => 'slow', code => 'rate_limit_exceeded' } } }
		if $t->read_file('limited') =~ /^$request->{key} \Q$model\E$/m;

	return LLMUpstream::refuses($request, keys => [qw/sk-1 sk-2 c-1 c-2/])
		|| { json => { model => $model } };
}) } 8081, 8082;

sub limited { $t->write_file('limited', join '', map { "$_\n" } @_) }

sub used {
	my ($up, $count, $model) = @_;
	my %keys;
	$up->clear();
	my $failed = grep { chat($model)->{status} != 200 } 1 .. $count;
	$keys{$_}++ for $up->keys_used();
	return join ' ', sort(keys %keys), $failed ? "failed $failed" : ();
}

sub state_of {
	my ($name) = @_;
	my ($key) = grep { $_->{key} eq $name } map { @$_ }
		@{json(get('/health'))}{qw/healthy_endpoints unhealthy_endpoints/};
	return $key->{state};
}

limited('sk-1 gpt-4o');

$t->clock()->run()->plan(20);

###############################################################################

is(used($openai, 4, 'gpt-4o'), 'sk-1 sk-2', 'one is at its limit');
is(used($openai, 6, 'gpt-4o'), 'sk-2', 'and not asked for this model');
is(used($openai, 4, 'gpt-4.1'), 'sk-1 sk-2', 'it is for another one');

# what counts is the name that the provider gets

is(used($openai, 4, 'small'), 'sk-2', 'the same model by another name');

ok($t->logged(qr/model of key "openai-1" of upstream "openai" is out for 30/),
	'log');

# both keys, but not for all models

limited(map { "sk-$_ gpt-4o" } 1, 2);
used($openai, 2, 'gpt-4o');
$openai->clear();
my $r = chat('gpt-4o');
is($r->{status}, 429, 'both are at their limits');
is(scalar $openai->requests(), 0, 'nobody is asked');
my $left = $r->{headers}{'retry-after'};
ok($left > 20 && $left <= 30, 'until the first is back');
is(used($openai, 4, 'gpt-4.1'), 'sk-1 sk-2', 'for others both are well');

# a provider of which nothing is known

limited('c-1 gpt-4o');
is(used($custom, 4, 'custom/gpt-4o'), 'c-1 c-2', 'custom: at its limit');
is(used($custom, 4, 'custom/gpt-4.1'), 'c-2', 'for all models');
is(state_of('custom-1'), 'cooling', 'state');

# a reload

$t->reload();
limited();
is(chat('gpt-4o')->{status}, 429, 'out after a reload');
is(used($openai, 4, 'gpt-4.1'), 'sk-1 sk-2', 'for that model only');
is(used($custom, 4, 'custom/x'), 'c-2', 'or for all');

$t->reload();
is(chat('gpt-4o')->{status}, 429, 'and after another');

$t->advance(31);
is(used($openai, 4, 'gpt-4o'), 'sk-1 sk-2', 'back');
is(used($custom, 4, 'custom/x'), 'c-1 c-2', 'for all');

# many models, more than there is space for: none makes another one wait

limited(map { "sk-1 gpt-$_" } 1 .. 300);
is(scalar(grep { chat("gpt-$_")->{status} != 200 } map { ($_, $_) } 1 .. 300),
	0, 'many models');
is(used($openai, 4, 'gpt-other'), 'sk-1 sk-2', 'others go on');

###############################################################################
