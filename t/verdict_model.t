#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for models that not every key has: nobody but such a key is asked for
# them, and what a client asks for puts out no key for the other models.

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
        llm_key sk-1,sk-2,sk-3,sk-4,sk-5;
    }

    upstream custom {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_key ck-1,ck-2;
    }

    upstream github {
        llm_provider github base=http://127.0.0.1:8082/v1;
        llm_key gh-1,gh-2;
    }

    upstream anthropic {
        llm_provider anthropic base=http://127.0.0.1:8082/v1;
        llm_key ak-1,ak-2;
    }

EOF

sub error { return { message => 'no', type => $_[0], code => $_[0] } }

# a file tells which keys have the special model

my ($openai, $others) = map { LLMUpstream->start($t, $_, sub {
	my ($request) = @_;

	my $model = $request->{body} =~ /"model":\s*"([^"]*)"/ ? $1 : '';
	my $has = $t->read_file('has');

	return { status => 404, json => { error => error('model_not_found') } }
		if $model eq 'special' && $request->{key} !~ /$has/
		|| $model eq 'nobodys';
	return { status => 403, json => { error => error('permission_error') } }
		if $model =~ /forbidden/ || $request->{body} =~ /my file/
		|| $request->{path} =~ /files/;

	return { json => { ok => 1 } };
}) } 8081, 8082;

# how many of so many requests failed

sub failed {
	my ($count, $model, %o) = @_;
	$_->clear() for $openai, $others;
	return scalar grep { chat($model, %o)->{status} != 200 } 1 .. $count;
}

sub keys_used {
	my ($up) = @_;
	my %n;
	$n{$_}++ for $up->keys_used();
	return join ' ', map { "$_:$n{$_}" } sort keys %n;
}

$t->write_file('has', '5');
$t->clock()->run()->plan(28);

###############################################################################

# a model that only one of five groups has

cmp_ok(failed(4, 'openai/special'), '<=', 3, 'until it is found');
is(failed(10, 'openai/special'), 0, 'then always');
is(failed(10, 'openai/special'), 0, 'and again');
is(keys_used($openai), 'sk-5:10', 'by one key');

is(failed(10, 'openai/gpt-4o'), 0, 'another model');
is(keys_used($openai), join(' ', map { "sk-$_:2" } 1 .. 5), 'by all keys');
ok($t->logged(qr/key "openai-\d" of upstream "openai" is out for 60000ms: /),
	'log');

# they are asked now and then, one by one, and no client sees it

$t->advance(61);
is(failed(10, 'openai/special'), 0, 'half open');
is(() = keys_used($openai) =~ /sk-[1-4]:1/g, 1, 'one is asked');

for my $wait (31, 31, 3600) {
	$t->advance($wait);
	is(failed(10, 'openai/special'), 0, "half open after $wait s");
}

# it gets the model

$t->write_file('has', '[35]');
$t->advance(3600);
for (1 .. 5) { $t->advance(31); failed(3, 'openai/special') }
is(failed(10, 'openai/special'), 0, 'two have it');
is(keys_used($openai), 'sk-3:5 sk-5:5', 'both are asked');

# a model that nobody has: the provider says so, each time

is(failed(20, 'openai/nobodys'), 20, 'nobody has it');
is(scalar $openai->requests(), 40, 'two are asked each time');
my $r = chat('openai/nobodys');
is($r->{status}, 404, 'status');
is(json($r)->{error}{code}, 'model_not_found', 'the answer of the provider');

# it is withdrawn from all who had it

$t->write_file('has', 'none');
is(scalar(grep { chat('openai/special')->{status} == 404 } 1 .. 10), 10,
	'withdrawn');

# a provider that tells no limits

$t->write_file('has', 'ck-2');
failed(4, 'custom/special');
is(failed(10, 'custom/special'), 0, 'a silent provider');

# a model that is forbidden

is(failed(4, 'github/forbidden'), 4, 'forbidden');
is(failed(10, 'github/gpt-4o'), 0, 'the other models');
is(keys_used($others), 'gh-1:5 gh-2:5', 'by all keys');

is(scalar(grep { get('/github/v1/files/file-1')->{status} == 403 } 1 .. 3), 3,
	'a foreign file');
is(failed(10, 'github/gpt-4o'), 0, 'puts out nothing');

# what a client sent puts nothing out, not even the model

failed(2, 'anthropic/claude');
is(scalar(grep { chat('anthropic/claude', text => 'my file')->{status} == 403 }
	1 .. 5), 5, 'not permitted');
is(failed(10, 'anthropic/claude'), 0, 'the model is still there');
like(keys_used($others), qr/ak-1:\d+ ak-2:\d/, 'at both keys');

###############################################################################
