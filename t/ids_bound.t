#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for requests that are bound to a group of keys: never to another one,
# and what is unknown is looked for once.

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

    llm_zone 128k;

    upstream openai {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2 group=a;
        llm_key sk-3,sk-4 group=b;
    }

    upstream other {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-5;
    }

    upstream dead {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_key sk-6,sk-7;
    }

    llm_model chain    openai other;
    llm_model back     other openai;
    llm_model tuned    openai/ft:gpt:org::1 other/large;
    llm_model ft:*     other openai;
    llm_model default  openai;

EOF

# a key's answers, by what a test wrote for it

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($line) = grep { /^$request->{key} / }
		split /\n/, $t->read_file('script');

	return { status => $1, headers => [split /=/, $2],
		json => { error => { message => 'no', code => $3 } } }
		if $line && $line =~ /^\S+ (\d+) ?(\S*) ?(.*)/;

	return { json => { id => "file-$request->{n}",
		fine_tuned_model => 'ft:gpt:org::1' } }
		if $request->{path} eq '/v1/fine_tuning/jobs';

	return { json => { id => "file-$request->{n}" } }
		if $request->{path} eq '/v1/files';

	return { json => { data => [ map { { id => $_ } } split /,/,
		$request->{args} ] } }
		if $request->{path} eq '/v1/batches';

	return { json => { ok => 1 } };
});

my %group = ('sk-1' => 'a', 'sk-2' => 'a', 'sk-3' => 'b', 'sk-4' => 'b',
	'sk-5' => 'other');

sub script { $t->write_file('script', join "\n", @_) }

# all keys are in, and the next upload is one's

sub fresh {
	script();
	wait_for(sub { !json(get('/health'))->{unhealthy_count} });

	for (1 .. 20) {
		$up->clear();
		my $id = json(post('/v1/files', '{}'))->{id};
		my $key = $up->last_request()->{key};
		$up->clear();
		return $id if $key eq 'sk-1';
	}
}

sub groups { join ' ', map { $group{$_} } $up->keys_used() }

sub ask {
	my ($model, $id) = @_;
	return post('/v1/chat/completions',
		"{\"model\":\"$model\",\"file_id\":\"$id\"}");
}

sub content { get("/v1/files/$_[0]/content") }

script();

$t->run()->plan(52);

###############################################################################

# when the group is out, nobody else is asked

my $id = fresh();

script('sk-1 429 Retry-After=2', 'sk-2 429 Retry-After=2');

my $r = ask('chain', $id);
is($r->{status}, 429, 'their last answer');
is(groups(), 'a', 'as the group has one limit');
is($r->{headers}{'x-should-retry'}, 'false', 'no use to try again');

$up->clear();
$r = ask('chain', $id);
is($r->{status}, 429, 'the group is out');
is(scalar $up->requests(), 0, 'nobody was asked');
ok($r->{headers}{'retry-after'} >= 1 && $r->{headers}{'retry-after'} <= 2,
	'its wait') or diag($r->{headers}{'retry-after'});
like(json($r)->{error}{message}, qr/"openai"/, 'who it is');

is(ask('gpt-4o', $id)->{status}, 429, 'without a chain');
is(content($id)->{status}, 429, 'by path');
is(request('DELETE', "/v1/files/$id", key => 'master')->{status}, 429,
	'DELETE');
is(scalar $up->requests(), 0, 'nobody was asked');

is(ask('chain', 'file-unknown')->{status}, 200, 'others are served');
is(groups(), 'b', 'by others');

script();
ok(wait_for(sub { ask('chain', $id)->{status} == 200 }), 'back after the wait');
is($group{$up->last_request()->{key}}, 'a', 'the same group');

# the target that has it, wherever it stands

$id = fresh();

is(ask('back', $id)->{status}, 200, 'of the second target');
is(groups(), 'a', 'at once');

# refused keys, and a provider that fails

$id = fresh();
script('sk-1 401', 'sk-2 401');
$r = ask('chain', $id);
is($r->{status}, 401, 'refused');
is(json($r)->{error}{code}, 'provider_keys_refused', 'code');
is(groups(), 'a a', 'nobody else');

script();
$t->stop();
$t->write_file('error.log', '')->run();

$id = fresh();
script('sk-1 500', 'sk-2 500');
is(ask('chain', $id)->{status}, 500, 'ill');
is(groups(), 'a a', 'nobody else');

# of several ids the first known one, and the one in the path before all

$id = fresh();
$up->clear();
my $b;
for (1 .. 20) {
	$b = json(post('/v1/files', '{}'))->{id};
	last if $group{$up->last_request()->{key}} eq 'b';
}

$up->clear();
post("/v1/threads/thread_x/runs", "{\"assistant_id\":\"$id\","
	. "\"file_id\":\"$b\"}") for 1 .. 4;
is(groups(), 'a a a a', 'the first of a body');

$up->clear();
post("/v1/files/$b", "{\"file_id\":\"$id\"}") for 1 .. 4;
is(groups(), 'b b b b', 'the path first');

$up->clear();
ask('gpt-4o', "$_\",\"container\":\"$b") for ('nobody-has-it') x 4;
is(groups(), 'b b b b', 'unknown ones do not count');

# fine-tuned models

$id = fresh();

for (1 .. 20) {
	$up->clear();
	post('/v1/fine_tuning/jobs', '{}');
	last if groups() eq 'a';
}

$up->clear();
chat('ft:gpt:org::1') for 1 .. 4;
is(groups(), 'a a a a', 'a model');

$up->clear();
chat('openai/ft:gpt:org::1') for 1 .. 4;
is(groups(), 'a a a a', 'with a prefix');

$up->clear();
chat('tuned') for 1 .. 4;
is(groups(), 'a a a a', 'by another name');

$up->clear();
ask('ft:gpt:org::1', $b) for 1 .. 4;
is(groups(), 'b b b b', 'ids count more');

script('sk-1 429 Retry-After=2', 'sk-2 429 Retry-After=2');

$up->clear();
is(chat('openai/ft:gpt:org::1')->{status}, 429, 'out');
is(chat('ft:gpt:org::1')->{status}, 429, 'also where others have the name');
is(groups(), 'a', 'nobody else');

$up->clear();
is(chat('tuned')->{status}, 200, 'what the next target has instead is not bound');
is(groups(), 'other', 'it goes there');

# unknown ids in a path: one group is asked

fresh();
script(map { "$_ 404" } qw/sk-1 sk-2 sk-3 sk-4/);
$r = content('file-unknown');
is($r->{status}, 404, 'unknown');
is(json($r)->{error}{message}, 'no', 'as the provider says it');
is(scalar $up->requests(), 1, 'once');

$up->clear();
script(map { "$_ 429 Retry-After=1" } qw/sk-1 sk-2 sk-3 sk-4/);
is(content('file-unknown')->{status}, 429, 'unknown, and 429');
like(groups(), qr/^(a|b)$/, 'one group is asked');

fresh();
script(map { "$_ 500" } qw/sk-1 sk-2 sk-3 sk-4/);
is(content('file-unknown')->{status}, 500, 'unknown, and ill');
like(groups(), qr/^(a a|b b)$/, 'one group is asked');

# unknown ids in a body: a 429 says nothing about them, a 404 may

$t->stop();
script();
$t->run();

fresh();
script(map { "$_ 429 Retry-After=1" } qw/sk-1 sk-2 sk-3 sk-4/);
is(ask('chain', 'file-unknown')->{status}, 200, 'in a body, and 429');
is(join(' ', sort split / /, groups()), 'a b other', 'everybody is asked');

fresh();
script(map { "$_ 404 a=b model_not_found" } qw/sk-1 sk-2 sk-3 sk-4/);
is(chat('chain')->{status}, 404, 'no id, and not allowed');
is(join(' ', sort split / /, groups()), 'a b', 'the other group is asked');

fresh();
script(map { "$_ 404 a=b model_not_found" } qw/sk-1 sk-2 sk-3 sk-4/);
is(ask('chain', 'file-unknown')->{status}, 404, 'an id, and not allowed');
like(groups(), qr/^(a|b)( \1)?$/, 'one group is asked');

# nobody there at all: others are asked, as nothing is known by that

script();
$up->clear();
is(get('/dead/v1/files/file-unknown')->{status}, 503, 'nobody there');

# a small zone: the oldest id goes

$id = fresh();
get('/v1/batches?' . join ',', map { "x-$_" } 1 .. 100);
$up->clear();
content($id) for 1 .. 4;
is(groups(), 'a a a a', 'some are kept');

sub crowd {
	my ($from, $meanwhile) = @_;

	for my $n (1 .. 20) {
		get("/v1/batches?" . join ',', map { "$from-$n-$_" } 1 .. 100);
		$meanwhile->() if $meanwhile;
	}
}

# one that is used is not the oldest

crowd('y', sub { content($id) });
$up->clear();
content($id) for 1 .. 4;
is(groups(), 'a a a a', 'what is used is kept');

crowd('y', sub { ask('gpt-4o', $id) });
$up->clear();
ask('gpt-4o', $id) for 1 .. 4;
is(groups(), 'a a a a', 'also in bodies');

crowd('z');

$up->clear();
content($id) for 1 .. 8;
isnt(groups(), join(' ', ('a') x 8), 'the oldest is not');

###############################################################################
