#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the entry point: LiteLLM's command line and variables, what is said
# about each, and a stop that waits.

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

mkdir "$d/run";

my $up = LLMUpstream->start($t, 8081, sub {
	my ($req) = @_;
	return LLMUpstream::refuses($req, keys => [qw/a b/])
		|| { json => { model => json($req)->{model} },
			wait => $req->{body} =~ /slowly/ ? 1 : 0 };
});

my %env = (OPENAI_API_KEYS => 'a,b', LITELLM_MASTER_KEY => 'master',
	OPENAI_API_BASE => 'http://127.0.0.1:' . port(8081) . '/v1');

plan(tests => 61);

###############################################################################

my $pid;

sub start {
	my ($env, @args) = @_;
	local %ENV = (%ENV, %$env);

	$pid = fork();

	if ($pid == 0) {
		open STDOUT, '>', "$d/out";
		open STDERR, '>&', \*STDOUT;
		exec($entry, "$LLMTest::ROOT/conf.d", "$d/run", $module, @args)
			or POSIX::_exit(1);
	}

	wait_for(sub { waitpid($pid, POSIX::WNOHANG()) == $pid
		|| IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port(8080)) });
}

sub stop {
	kill $_[0] || 'TERM', $pid;
	waitpid($pid, 0);
	return $t->read_file('out');
}

# a start and a stop: what it said before nginx said anything

sub said {
	my ($env, @args) = @_;
	start({%env, %$env}, '--port', port(8080), @args);
	return join '', grep { /^llm-entrypoint/ } split /^/m, stop();
}

# the command lines that are used most say nothing

is(said({}, qw/--num_workers 2 --telemetry False/), '', 'the usual flags');
my @workers = $t->read_file('out') =~ /start worker process \d/g;
is(@workers, 2, 'two workers');

is(said({}, '--num_workers=3', '--host=127.0.0.1', '--telemetry=false'), '',
	'with an equals sign');
@workers = $t->read_file('out') =~ /start worker process \d/g;
is(@workers, 3, 'three workers');

is(said({ PORT => 1, HOST => '192.0.2.1', NUM_WORKERS => 7 },
	qw/--host 127.0.0.1 --num_workers 1/), '', 'flags go before variables');
is(said({}, qw/-- --detailed_debug/), '', 'debug');
like($t->read_file('out'), qr/\[info\]|start worker/, 'and it starts');
unlike($t->read_file('out'), qr/\[debug\]/, 'without the debug of nginx');

# one line for each that means nothing

for my $case (
	[qw/--telemetry True/],
	[qw/--max_budget 100/], [qw/--temperature 0.1/], [qw/--max_tokens 5/],
	[qw/--request_timeout 600/], [qw/--drop_params/],
	[qw/--add_function_to_prompt/], [qw/--run_gunicorn/],
	[qw/--run_hypercorn/], [qw/--run_granian/], [qw/--keepalive_timeout 5/],
	[qw/--max_requests_before_restart 1000/], [qw/--limit_concurrency 10/],
	[qw/--prometheus_metrics_port 9090/], [qw/--log_config x.json/],
	[qw/--use_prisma_db_push/], [qw/--iam_token_db_auth/], [qw/--test/],
	[qw/--setup/], [qw/--ssl_keyfile_path k --ssl_certfile_path c/],
	[qw/--api_version 2024-01-01/], [qw/--headers {}/],
	[qw/--a_new_one/], [qw/--a_new_one with/], [qw/--a-new-one=1/], [qw/-x/],
) {
	my $text = said({}, @$case, '--num_workers', 1);
	my @flags = grep { /^-/ } map { s/=.*//r } @$case;
	my @lines = map { "llm-entrypoint: $_ is ignored: .+\n" } @flags;
	my $re = join '', @lines;
	like($text, qr/\A$re\z/, "@$case");
}

like(said({}, 'word'), qr/\A\S+ "word" is ignored.*\n\z/, 'no flag at all');
like(said({ SSL_KEYFILE_PATH => 'x' }), qr/\A\S+ SSL_KEYFILE_PATH is ign.*\n\z/,
	'a variable of LiteLLM');
is(said({ DEBUG => 'express:*' }), '', 'a variable of somebody else');

# a model for everything

start({%env}, '--port', port(8080), qw/--model openai\/gpt-4o --alias mine/);
is(json(chat('mine'))->{model}, 'gpt-4o', 'an alias');
is(json(chat('whatever'))->{model}, 'gpt-4o', 'any model');
stop();

start({%env, OPENAI_API_BASE => 'http://127.0.0.1:1'}, '--port', port(8080),
	'-m', 'gpt-4o-mini', '--api_base', $env{OPENAI_API_BASE});
is(json(chat('whatever'))->{model}, 'gpt-4o-mini', 'a model without a prefix');
stop();

# the log levels of LiteLLM

start({%env, LITELLM_LOG => 'ERROR'}, '--port', port(8080));
unlike(stop(), qr/start worker/, 'errors only');

# one-shot actions

like(`$entry --version`, qr/\Anginx \S+.*\n\z/, 'version');
like(`$entry --help`, qr/\Ausage: /, 'help');

sub action {
	my (@args) = @_;
	local %ENV = (%ENV, %env, PORT => port(8080));
	my $out = `$entry $LLMTest::ROOT/conf.d $d/run $module @args 2>&1`;
	return ($out, $?);
}

my ($text, $rc) = action('--validate_config');
like($text, qr/test is successful/, 'a test of the configuration');
is($rc, 0, 'passes');
is((action('--skip_server_startup'))[1], 0, 'no start');

ok(!-e "$d/run/listen", 'a stop leaves no address behind');
($text, $rc) = action('--health');
isnt($rc, 0, 'ill');
like($text, qr/\A\S+ nobody answers on port \d+\n\z/, 'says who asks');

start({%env}, '--port', port(8080));
is((action('--health'))[1], 0, 'healthy');

is(system('PORT=' . port(8082)
	. " $entry $LLMTest::ROOT/conf.d $d/run $module --health"), 0,
	'of the port that the command line of the start says');

$t->write_file('run/listen', '127.0.0.1 ' . port(8082) . "\n");
is((action('--health', '--port', port(8080)))[1], 0, 'a port before the file');
is((action('--health'))[1], 0, 'and one of the environment');

$t->write_file('run/listen', '127.0.0.1 ' . port(8080) . "\n");
isnt((action('--health', '--port', port(8082), '2>/dev/null'))[1], 0,
	'a port where nobody is');

# SIGTERM lets requests end, SIGINT does not

my $s = chat('gpt-4o', text => 'slowly', start => 1);
wait_for(sub { grep { $_->{body} =~ /slowly/ } $up->requests() });
kill 'TERM', $pid;
like(http_end($s), qr/^HTTP\S+ 200.*"model"/s, 'a request in flight');
ok(wait_for(sub { waitpid($pid, POSIX::WNOHANG()) == $pid }), 'and the end');
is($?, 0, 'well');

start({%env}, '--port', port(8080));
$s = chat('gpt-4o', text => 'slowly slowly', start => 1);
wait_for(sub { grep { $_->{body} =~ /slowly slowly/ } $up->requests() });
kill 'INT', $pid;
waitpid($pid, 0);
unlike(http_end($s), qr/"model"/, 'no waiting after SIGINT');

# an access log to a pipe of nobody's, as systemd gives one: a socket

socketpair(my $ours, my $theirs, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0);
$pid = fork();

if ($pid == 0) {
	local %ENV = (%ENV, %env);
	open STDERR, '>', "$d/out";
	POSIX::dup2(fileno $theirs, 1);
	exec($entry, "$LLMTest::ROOT/conf.d", "$d/run", $module, '--port',
		port(8080)) or POSIX::_exit(1);
}

close $theirs;
ok($t->waitforsocket('127.0.0.1:' . port(8080)), 'a socket as stdout');
is(chat('gpt-4o')->{status}, 200, 'serves');
stop();
my $line = <$ours>;
is(json($line // '')->{status}, 200, 'and has the access log');

###############################################################################
