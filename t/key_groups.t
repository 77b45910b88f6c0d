#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for groups: keys of one organization share their limits, and what is
# wrong with it, but not what is wrong with one of them.

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
        llm_key sk-a1,sk-a2,sk-a3 group=a;
        llm_key sk-b1,sk-b2 group=b;
    }

    upstream learnt {
        llm_provider openai base=http://127.0.0.1:8082/v1;
        llm_key sk-x1,sk-x2,sk-y1,sk-y2;
    }

    upstream custom {
        llm_provider custom base=http://127.0.0.1:8083/v1;
        llm_key c-a1,c-a2 group=a;
        llm_key c-b1;
    }

EOF

# a file has the error of each key; the organization is in the answers

my %errors = (
	slow => [429, 'rate_limit_exceeded'],
	bad => [401, 'invalid_api_key'],
	empty => [429, 'insufficient_quota'],
);

my ($openai, $learnt, $custom) = map { LLMUpstream->start($t, $_, sub {
	my ($request) = @_;

	my ($error) = $t->read_file('script') =~ /^$request->{key} (\w+)/m;
	my @headers = $request->{key} =~ /^sk-([xy])/
		? ('OpenAI-Organization' => "org-$1") : ();

	return LLMUpstream::refuses($request, keys => [$request->{key}])
		|| { headers => \@headers, json => {} } unless $error;

	return { status => $errors{$error}[0], headers => [@headers,
			'Retry-After' => 10], json => { error => {
			message => 'error', code => $errors{$error}[1] } } };
}) } 8081, 8082, 8083;

sub script { $t->write_file('script', join '', map { "$_\n" } @_) }

sub used {
	my ($up, $count, $model) = @_;
	my %keys;
	$up->clear();
	my $failed = grep { chat($model)->{status} != 200 } 1 .. $count;
	$keys{$_}++ for $up->keys_used();
	return join ' ', sort(keys %keys), $failed ? "failed $failed" : ();
}

script();

$t->clock()->run()->plan(19);

###############################################################################

is(used($openai, 10, 'gpt-4o'), 'sk-a1 sk-a2 sk-a3 sk-b1 sk-b2', 'all');

# one at its limit: all of its group are

script('sk-a1 slow');
is(used($openai, 5, 'gpt-4o') =~ /sk-a1/, 1, 'one is asked');
script();
is(used($openai, 6, 'gpt-4o'), 'sk-b1 sk-b2', 'none of its group is');
is(used($openai, 10, 'gpt-4.1'), 'sk-a1 sk-a2 sk-a3 sk-b1 sk-b2',
	'for another model they are');
is(used($custom, 6, 'custom/x'), 'c-a1 c-a2 c-b1',
	'and so is the group of that name elsewhere');

$t->advance(11);
is(used($openai, 10, 'gpt-4o'), 'sk-a1 sk-a2 sk-a3 sk-b1 sk-b2', 'all again');
ok($t->logged(qr/model of key "openai-1" of upstream "openai" is out/), 'log');

# both groups: each is asked once

script(map { "sk-$_ slow" } qw/a1 a2 a3 b1 b2/);
$openai->clear();
is(chat('gpt-4o')->{status}, 429, 'both at their limits');
is(scalar $openai->requests(), 2, 'two tries');
$t->advance(11);

# a provider without limits of models: for all of them

script('c-a1 slow', 'c-a2 slow');
is(used($custom, 3, 'custom/x'), 'c-a1 c-b1', 'a group');
is(used($custom, 6, 'custom/y'), 'c-b1', 'for each model');
$t->advance(11);

# a key that is refused is alone in that

script('sk-b1 bad');
used($openai, 10, 'gpt-4o');
is(used($openai, 10, 'gpt-4o'), 'sk-a1 sk-a2 sk-a3 sk-b2', 'only one key');

# no money left: its organization's

script('sk-a2 empty');
used($openai, 10, 'gpt-4o');
is(used($openai, 4, 'gpt-4o'), 'sk-b2', 'the group');
is(used($openai, 4, 'gpt-4.1'), 'sk-b2', 'for each model');

my %state = map { $_->{key} => $_->{state} } map { @$_ }
	@{json(get('/health'))}{qw/healthy_endpoints unhealthy_endpoints/};
is(join(' ', map { $state{"openai-$_"} } 1 .. 5),
	'finished finished finished finished usable', 'states');

# groups that the provider tells

is(used($learnt, 8, 'learnt/gpt-4o'), 'sk-x1 sk-x2 sk-y1 sk-y2', 'all');

script('sk-x1 slow');
used($learnt, 8, 'learnt/gpt-4o');
is(used($learnt, 8, 'learnt/gpt-4o'), 'sk-y1 sk-y2', 'an organization');

# new workers know it, and so do new configurations

$t->reload();
is(used($learnt, 8, 'learnt/gpt-4o'), 'sk-y1 sk-y2', 'after a reload');

script('sk-y2 empty');
used($learnt, 8, 'learnt/gpt-4.1');
$t->advance(11);
script();
is(used($learnt, 8, 'learnt/gpt-4.1'), 'sk-x1 sk-x2', 'no money left');

###############################################################################
