#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for files, batches and the like: what one account keeps is asked of
# that account, by all workers, and after a reload.

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

    llm_zone %%ZONE%%;

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key %%KEYS%%;
    }

    upstream mistral {
        llm_provider mistral base=http://127.0.0.1:8081/v1;
        llm_key sk-5,sk-6;
    }

    upstream anthropic {
        llm_provider anthropic base=http://127.0.0.1:8081;
        llm_key sk-7,sk-8,sk-9;
    }

    llm_model default openai;

EOF

my $conf = $t->read_file('nginx.conf');

sub conf {
	my ($zone, $keys) = @_;
	$t->write_file('nginx.conf',
		$conf =~ s/%%ZONE%%/$zone/r =~ s/%%KEYS%%/$keys/r);
}

# an account knows what it made, and nothing else: ids have its number in them

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($path, $method) = @$request{qw/path method/};
	my $key = $request->{key} =~ s/sk-/key/r;
	my ($id) = "$path $request->{body}" =~ /(\w+-of-[\w-]+)/;
	my $what = $path =~ /batch/ ? 'batch' : 'file';
	my $json = { id => "$what-of-$key-$request->{n}" };
	my $status = 200;
	my @headers;

	@headers = ('openai-organization' => $1)
		if $request->{args} =~ /organization=(\w+)/;

	if ($id && $id !~ /-of-\Q$key\E-/) {
		$status = 404;
		$json = { error => { message => 'nothing here' } };

	} elsif ($id && $method eq 'GET' && $id =~ /^batch.*-(\d+)$/) {
		$json = { id => $id, output_file_id => "out-of-$key-$1" };

	} elsif ($id && !($what eq 'batch' && $method eq 'POST')) {
		$json = { id => $id };

	} elsif ($method eq 'GET') {
		$json = { data => [ { id => "old-of-$key-1" } ] };
	}

	return { status => $status, headers => \@headers, json => $json };
});

sub upload {
	my ($path) = @_;

	my $body = join '', map { "--b\r\nContent-Disposition: form-data; $_\r\n" }
		"name=\"purpose\"\r\n\r\nbatch",
		"name=\"file\"; filename=\"a\"\r\n\r\n{}";

	my $r = request('POST', $path || '/v1/files', key => 'master',
		headers => ['Content-Type' => 'multipart/form-data; boundary=b'],
		body => "$body--b--\r\n");

	return json($r)->{id};
}

# those that were not found each time

sub lost {
	my ($code, @ids) = @_;
	return join ' ', grep { $code->($_)->{status} != 200 } @ids, @ids, @ids;
}

sub file { get("/v1/files/$_[0]") }

sub ask {
	post('/v1/chat/completions', '{"model":"gpt-4o","messages":[{"role":"user",'
		. "\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"$_[0]\"}}]}]}");
}

sub key_of { join ' ', map { /-of-key(\d)/ ? "sk-$1" : () } @_ }

sub used { join ' ', sort keys %{{ map { $_ => 1 } $up->keys_used() }} }

conf('4m', 'sk-1,sk-2,sk-3');

$t->run()->plan(33);

###############################################################################

my @ids = map { upload() } 1 .. 6;

is(used(), 'sk-1 sk-2 sk-3', 'each key has some');

$up->clear();
is(lost(\&file, @ids), '', 'GET');
is(scalar $up->requests(), 18, 'at once');

is(lost(sub { get("/files/$_[0]/content") }, @ids), '', 'GET below it');
is(lost(sub { get("/openai/v1/files/$_[0]?a=b") }, @ids), '',
	'GET with a prefix');

is(lost(\&ask, @ids), '', 'in a chat');

# by another one, without a model

my @batches = map {
	json(post('/v1/batches', "{\"input_file_id\":\"$_\"}"))->{id}
} @ids;

is(key_of(@batches), key_of(@ids), 'made of it');
is(lost(sub { get("/v1/batches/$_[0]") }, @batches), '', 'which is known');
is(lost(sub { post("/v1/batches/$_[0]/cancel", '') }, @batches), '',
	'also without a body');

my @out = map { json(get("/v1/batches/$_"))->{output_file_id} } @batches;
is(lost(sub { get("/v1/files/$_[0]/content") }, @out), '',
	'what it has made is known then');

# where there is no model, an id tells the upstream

my $file = upload('/mistral/v1/files');
like($file, qr/-of-key[56]/, 'another upstream');
is(lost(\&file, $file), '', 'found without a prefix');
is(key_of(json(post('/v1/batch/jobs', "{\"input_files\":[\"$file\"]}"))->{id}),
	key_of($file), 'and in a body');

# what lists show

$up->clear();
get('/v1/files');
my ($digit) = $up->last_request()->{key} =~ /(\d)/;
is(lost(\&file, "old-of-key$digit-1"), '', 'a list');

# Anthropic: batches are no inference

my $batch = json(post('/v1/messages/batches', '{"requests":[]}'))->{id};
like($batch, qr/^batch-of-key[789]/, 'messages');
is(lost(sub { get("/v1/messages/batches/$_[0]/results") }, $batch), '', 'GET');
is(request('POST', "/v1/messages/batches/$batch/cancel", key => 'master')
	->{status}, 200, 'a POST without a body');
is(request('POST', '/v1/messages', key => 'master')->{status}, 400,
	'others must have one');

# after a reload, with another order, and with a zone of another size

$t->reload();
is(lost(\&file, @ids), '', 'after a reload');

conf('4m', 'sk-4,sk-3,sk-2,sk-1');
$t->reload();
is(lost(\&file, @ids), '', 'in another order');

conf('2m', 'sk-4,sk-3,sk-2,sk-1');
$t->reload();
is(lost(\&file, @ids), '', 'in another zone');

# DELETE

$up->clear();
my $gone = shift @ids;
is(request('DELETE', "/v1/files/$gone", key => 'master')->{status}, 200,
	'DELETE');
is(used(), key_of($gone), 'at once');

$up->clear();
get("/v1/files/$gone/content") for 1 .. 8;
isnt(used(), key_of($gone), 'it is forgotten');

# a key that turns out to be of an organization has what it had before, and
# shares it with the others

my $one = upload();

$up->clear();
get("/v1/files/$one?organization=org") for 1 .. 2;
is(used(), key_of($one), 'an organization');
is(lost(\&file, $one), '', 'still known');

my ($other) = grep { key_of($_) ne key_of($one) } map { upload() } 1 .. 2;

$up->clear();
get("/v1/files/$other?organization=org");
file($one) for 1 .. 8;
is(used(), join(' ', sort(key_of($one), key_of($other))), 'of two keys');

# groups of the configuration; each key was one of its own before

my %group = ('sk-1' => 'a', 'sk-2' => 'a', 'sk-3' => 'b', 'sk-4' => 'b');

conf('2m', 'sk-5; llm_key sk-1,sk-2 group=a; llm_key sk-3,sk-4 group=b');
$t->reload();
@ids = map { upload() } 1 .. 10;
$one = (grep { key_of($_) ne 'sk-5' } @ids)[0];

$up->clear();
file($one) for 1 .. 8;
is(used(), join(' ', grep { $group{$_} eq $group{key_of($one)} }
	sort keys %group), 'a group');

conf('2m', 'sk-1,sk-2,sk-3,sk-4');
$t->reload();
$one = upload();

conf('2m', 'sk-5; llm_key sk-1,sk-2 group=a; llm_key sk-3,sk-4 group=b');
$t->reload();
$up->clear();
file($one) for 1 .. 8;
is(used(), join(' ', grep { $group{$_} eq $group{key_of($one)} }
	sort keys %group), 'what a key had is known to its group');

# one key, and then another

conf('2m', 'sk-1');
$t->reload();
$one = upload();

conf('2m', 'sk-1,sk-2');
$t->reload();
is(lost(\&file, $one), '', 'a second key');

# what belongs to a key that is gone is as unknown as anything

conf('2m', 'sk-2,sk-3');
$t->reload();

$up->clear();
is(file($one)->{status}, 404, 'a key that is gone');
is(scalar $up->requests(), 1, 'asked once');
is(ask($one)->{status}, 404, 'and in a body');

$t->stop();

###############################################################################
