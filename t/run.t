#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what "make run" starts: the demo without keys, the balancer with some.

###############################################################################

use warnings;
use strict;

use Test::More;
use IO::Socket::INET;
use POSIX qw//;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new();
my $d = $t->testdir();

my $entry = "$LLMTest::ROOT/objs/llm-entrypoint";
my $module = $ENV{TEST_NGINX_MODULE}
	|| "$LLMTest::ROOT/objs/ngx_http_llm_balancer_module.so";

mkdir $t->testdir() . '/run';

$ENV{HOST} = '127.0.0.1';
$ENV{PORT} = port(8080);
delete $ENV{NUM_WORKERS};

my $up = LLMUpstream->start($t, 8081, sub {
	return LLMUpstream::refuses($_[0], keys => [qw/a b/])
		|| { json => { real => 1 } };
});

plan(tests => 27);

###############################################################################

my $pid;

sub start {
	my (%env) = @_;
	local %ENV = (%ENV, %env);

	$pid = fork();

	if ($pid == 0) {
		open STDOUT, '>', $t->testdir() . '/out';
		open STDERR, '>&', \*STDOUT;
		exec($entry, "$LLMTest::ROOT/conf.d", $t->testdir() . '/run', $module)
			or POSIX::_exit(1);
	}

	wait_for(sub { waitpid($pid, POSIX::WNOHANG()) == $pid
		|| $t->read_file('out') =~ /start worker process \d/
		&& ($env{HOST} || IO::Socket::INET->new(
			PeerAddr => '127.0.0.1:' . port(8080))) });
}

sub stop {
	kill 'TERM', $pid;
	waitpid($pid, 0);
	return $t->read_file('out');
}

# the demo: what it prints works

start();

my $out = $t->read_file('out');
my ($key) = $out =~ /Bearer (sk-demo-\w+)/;
ok($key, 'a generated key');

my ($curl) = $out =~ /^(\s+curl .*?')$/ms;
$curl =~ s/curl/curl -s -m 5/;
like(`$curl`, qr/"chat.completion".*key number 1/s, 'the request to try');

is(chat('gpt-4o', uri => '/v1/embeddings', key => $key)->{status}, 404,
	'what it does not simulate');

my %seen;

for (1 .. 16) {
	my $r = chat('gpt-4o', key => $key);
	$seen{$r->{status}}++;
	$seen{$1}++ if $r->{body} =~ /key number (\d)/;
}

ok($seen{1} && $seen{2} && $seen{3}, 'three keys') or diag(join ' ', %seen);
ok($seen{200} >= 12, 'answers');
ok($seen{429} >= 1, 'and a limit');
is(chat('gpt-4o', key => 'wrong')->{status}, 401, 'not without its key');

$out = stop();
like($out, qr/"tries":"[23]".*"upstream_status":"429, /, 'a log of tries');
like($out, qr/key "openai-1" of upstream "openai" is out/, 'a log of states');
unlike($out, qr/demo-key-\d/, 'no key in it');

start();
my ($other) = $t->read_file('out') =~ /Bearer (sk-demo-\w+)/;
isnt($other, $key, 'another key each time');
stop();

# with keys

my %env = (OPENAI_API_KEYS => 'a,b', LITELLM_MASTER_KEY => 'master',
	OPENAI_API_BASE => 'http://127.0.0.1:' . port(8081) . '/v1');

start(%env);

is(json(chat('gpt-4o'))->{real}, 1, 'with keys');
chat('gpt-4o');
is(join(' ', $up->keys_used()), 'a b', 'each in turn');
is(chat('gpt-4o', key => 'wrong')->{status}, 401, 'the master key');
is(get('/health/liveliness', key => undef)->{status}, 200, 'health');

kill 'HUP', $pid;
ok(wait_for(sub { $t->read_file('out') =~ /reconfiguring/ }), 'reload');
is(json(chat('gpt-4o'))->{real}, 1, 'and the environment is still known');

$out = stop();
like($out, qr/provider "openai": 2 keys, http:/, 'it tells what it has found');
unlike($out, qr/demo/, 'no demo');

# what refuses the start

start(%env, LITELLM_MASTER_KEY => '');
like($t->read_file('out'), qr/LITELLM_MASTER_KEY is not set/,
	'no master key');

start(%env, LITELLM_MASTER_KEY => '', LLM_ALLOW_ANONYMOUS => 1);
is(json(chat('gpt-4o', key => undef))->{real}, 1, 'unless that is meant');
stop();

start(%env, PORT => 'x');
like($t->read_file('out'), qr/invalid port "x"/, 'a wrong port');

my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1:0');
start(%env, PORT => $s->sockport());
is($t->read_file('out'), 'llm-entrypoint: port ' . $s->sockport()
	. " of 127.0.0.1 is in use by another process; PORT or --port says another one\n",
	'a port in use');

start(%env, HOST => '::1', LLM_ALLOW_ANONYMOUS => 1);
ok(wait_for(sub { $t->read_file('out') =~ /start worker|invalid|failed/ })
	&& $t->read_file('out') !~ /invalid/, 'an IPv6 address');
stop();

# the nginx of compose.nginx.yaml, with the keys of one provider, or of two

mkdir "$d/nginx";
mkdir "$d/nginx/conf.d";

for my $name ('nginx.conf', 'conf.d/llm.conf') {
	open my $fh, '<', "$LLMTest::ROOT/docker/nginx/$name" or die $!;
	my $text = join '', <$fh>;
	$text =~ s!/etc/llm-balancer!$LLMTest::ROOT/conf.d!g;
	$text =~ s!/usr/lib/nginx/modules/\S+(?=;)!$module!;
	$text =~ s/^(\s+listen\s+)4000/$1 . port(8080)/me;
	$t->write_file("nginx/$name", $text);
}

for my $extra ({}, { MISTRAL_API_KEYS => 'c' },
	{ MISTRAL_API_KEYS => '', GROQ_API_KEYS => 'd' })
{
	local %ENV = (%ENV, OPENAI_API_KEYS => 'a', LITELLM_MASTER_KEY => 'b',
		%$extra);
	like(`$LLMTest::NGINX -e stderr -p $d/run -c $d/nginx/nginx.conf -t 2>&1`,
		qr/test is successful/, join ' ', 'an nginx of your own', %$extra);
}

###############################################################################
