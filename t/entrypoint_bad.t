#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the entry point: what is wrong is said in one clear line, and
# nothing starts; what is only untidy is tidied.

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
my $root = $LLMTest::ROOT;

my $module = $ENV{TEST_NGINX_MODULE}
	|| "$root/objs/ngx_http_llm_balancer_module.so";

mkdir "$d/run";

# llm-config is looked for beside the entry point

system("cp $root/objs/llm-entrypoint $d/") == 0 or die;

my $up = LLMUpstream->start($t, 8081, sub {
	return LLMUpstream::refuses($_[0], keys => [qw/a b c/])
		|| { json => { real => 1 } };
});

my $base = 'http://127.0.0.1:' . port(8081) . '/v1';
my %env = (OPENAI_API_KEYS => 'a,b', LITELLM_MASTER_KEY => 'master',
	OPENAI_API_BASE => $base, PORT => port(8080));

plan(tests => 82);

###############################################################################

my $pid;

sub start {
	my ($env, @args) = @_;
	local %ENV = (%ENV, %env, %$env);

	defined $ENV{$_} or delete $ENV{$_} for keys %ENV;

	$pid = fork();

	if ($pid == 0) {
		open STDOUT, '>', "$d/out";
		open STDERR, '>&', \*STDOUT;
		exec("$d/llm-entrypoint", "$root/conf.d", "$d/run", $module, @args)
			or POSIX::_exit(1);
	}

	my $status;
	wait_for(sub { (waitpid($pid, POSIX::WNOHANG()) == $pid
			&& ($status = $?, 1))
		|| IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port(8080)) });

	return $status;
}

sub stop {
	kill 'TERM', $pid;
	waitpid($pid, 0);
	return $t->read_file('out');
}

sub refuses {
	my ($env, $re, $name, @args) = @_;

	my $status = start($env, @args);
	stop() unless defined $status;

	# what was tidied is said too

	my @lines = grep { !/\[(notice|warn)\]/ } split /\n/, $t->read_file('out');

	ok($status, "$name: no start");
	is(@lines, 1, "$name: one line") or diag(join "\n", @lines);
	like($lines[0] // '', $re, "$name: that says it");
	unlike($t->read_file('out'), qr/hidden/, "$name: without the key");
}

# keys

refuses({ OPENAI_API_KEYS => undef, OPENAI_API_KEYS_FILE => "$d/none" },
	qr/"\S+\/none" failed \(2: No such file/, 'a file that is not there');

$t->write_file('empty', '');
refuses({ OPENAI_API_KEYS => undef, OPENAI_API_KEYS_FILE => "$d/empty" },
	qr/no keys in "env:OPENAI_API_KEYS"/, 'an empty file');

refuses({ OPENAI_API_KEYS => undef, OPENAI_API_KEYS_FILE => $d },
	qr/is not a key file|directory/, 'a directory');

refuses({ OPENAI_API_KEYS => " , ,'' " }, qr/no keys in "env:OPENAI_API_KEYS"/,
	'nothing but commas');

refuses({ OPENAI_API_KEYS => "hidden-1,hid\nden" },
	qr/invalid character in key 2 of "env:OPENAI_API_KEYS"/,
	'a newline in a key');

refuses({ LITELLM_MASTER_KEY => "mas\nhidden" },
	qr/invalid character in key 1 of "env:LITELLM_MASTER_KEY"/,
	'a newline in the master key');

refuses({ LITELLM_MASTER_KEY => undef }, qr/LITELLM_MASTER_KEY is not set/,
	'no master key');

# addresses

refuses({ OPENAI_API_BASE => 'api.openai.com/v1' }, qr/base URL/,
	'a base URL without a scheme');

refuses({ PORT => '4000x' }, qr/invalid port "4000x"/, 'a port');
refuses({ HOST => '192.0.2.1' }, qr/cannot listen on port \d+ of 192\.0\.2\.1/,
	'an address of another machine');
refuses({}, qr/--port has no value/, 'a flag without its value', '--port');

SKIP: {
	skip 'everything is allowed', 1 if !$> || -e '/.dockerenv';
	start({ PORT => 80 });
	like($t->read_file('out'), qr/port 80 is not for this user/, 'a low port');
}

# untidy lists work

start({ OPENAI_API_KEYS => qq{ "a" , 'b',, a,}, OPENAI_API_KEY => 'b,c',
	LITELLM_MASTER_KEY => qq{ "master" } });
is(json(chat('gpt-4o'))->{real}, 1, 'blanks, quotes, commas and duplicates');
chat('gpt-4o') for 1 .. 2;
is(join(' ', sort $up->keys_used()), 'a b c', 'each key once');
my $out = stop();
like($out, qr/provider "openai": 3 keys/, 'counted');
like($out, qr/OPENAI_API_KEYS": 2 empty and 1 duplicate/, 'named') or diag($out);

# names that cannot be resolved yet

start({ GEMINI_API_KEYS => 'a', GEMINI_API_BASE => 'http://gemini.invalid/v1' });
is(json(chat('gpt-4o'))->{real}, 1, 'a start without DNS');
stop();

# --config, with a tool that says what it is told to

sub tool {
	$t->write_file('llm-config', "#!/bin/sh\n$_[0]\n");
	chmod 0755, "$d/llm-config";
}

tool('echo "$1:3:7: not YAML" >&2; exit 1');
is(start({}, '--config', '/x.yaml') ? $t->read_file('out') : '',
	"/x.yaml:3:7: not YAML\n", 'the error of the tool');

tool(<<"EOC");
cat <<'END'
# server: llm_client_key env:MY_MASTER;
upstream group {
    llm_provider openai base=$base;
    llm_key env:ONE;
    llm_key "b";
}
upstream more {
    llm_provider openai base=$base;
    llm_key env:ONE;
    llm_key env:LIST;
    llm_key env:QUOTED;
    llm_key file:$d/keys;
}
llm_model gpt-x group/gpt-4o;
END
EOC

$t->write_file('keys', "a\r\n\nd, 'e'\n\"c\"\n");

start({ OPENAI_API_KEYS => undef, LITELLM_MASTER_KEY => undef, ONE => 'a,c',
	LIST_FILE => "$d/keys", QUOTED => q{"a, f ,,'f'"},
	MY_MASTER => 'theirs', CONFIG_FILE_PATH => '/x.yaml' });
is(json(chat('gpt-x', key => 'theirs'))->{real}, 1, 'the configuration');
$out = stop();
like($out, qr/^llm-entrypoint: upstream "group": 3 keys$/m, 'and its keys');
like($out, qr/^llm-entrypoint: upstream "more": 5 keys$/m, 'each of them once');

tool("echo 'llm_client_key env:MY_MASTER;'");

start({ LITELLM_MASTER_KEY => undef, MY_MASTER => 'theirs' }, '-c', '/x.yaml');
is(json(chat('gpt-4o', key => 'theirs'))->{real}, 1, 'a client key of http');
stop();

is(start({ LITELLM_MASTER_KEY => undef }, '-c/x.yaml')
	? $t->read_file('out') : '', "llm-entrypoint: master_key is in "
	. "\"MY_MASTER\", which is not set\n", 'or none');

# what the environment is not set to comes from the entry point

tool(<<"EOC");
echo 'llm_client_key master;'
printf 'upstream %s {\nllm_provider groq;\nllm_key a;\n}\n' \\
	"\$LLM_BALANCE-\$LLM_QUEUE"
EOC

start({}, '-c', '/x.yaml');
like(stop(), qr/^llm-entrypoint: upstream "headroom-15s,64": 1 key$/m,
	'the default policies');

# the real tool, and keys of odd characters

system("cp $root/objs/llm-config $d/") == 0 or die;

for my $case ([q{sk-m;aster"q'$x}, 'sk-m'], ['sk-a{b}c', 'sk-a'],
	['sk-q"r', 'sk-q', 'sk-q\\'], ["'sk-'t", 'sk-', "'sk-"],
	['sk-b\\n\\\\"', 'sk-b', 'sk-b\\n\\'], ['#sk-$h', '#sk-'])
{
	my ($key, @cut) = @$case;

	$t->write_file('config.yaml', "model_list:\n- {model_name: gpt-o, "
		. "litellm_params: {model: openai/gpt-o}}\n"
		. "general_settings:\n  master_key: '" . $key =~ s/'/''/gr . "'\n");

	start({ LITELLM_MASTER_KEY => undef }, '--config', "$d/config.yaml");
	is(chat('gpt-o', key => $key)->{status}, 200, "master key $key");
	is(join(' ', map { chat('gpt-o', key => $_)->{status} } @cut, ''),
		join(' ', (401) x (@cut + 1)), "and nothing else than $key");
	stop();
}

# SIGHUP: the file is read again, and stays what it was if that is wrong

sub reloads {
	my ($yaml, $re) = @_;
	$t->write_file('config.yaml', $yaml);
	kill 'HUP', $pid;
	return wait_for(sub { $t->read_file('out') =~ /$re/ });
}

my $list = "model_list:\n- {model_name: %s, litellm_params: {model: openai/%s}}\n"
	. "general_settings: {master_key: %s}\n";

$t->write_file('config.yaml', sprintf $list, 'gpt-o', 'o1', 'sk-first');
start({ LITELLM_MASTER_KEY => undef }, '--config', "$d/config.yaml");

$up->clear();
chat('gpt-o', key => 'sk-first');
is(json($up->last_request())->{model}, 'o1', 'before');

my $old = $t->read_file('run/conf/litellm.conf');
ok(reloads("model_list: [\n", qr/what was read before stays/), 'a bad file');
like($t->read_file('out'), qr/config.yaml:\d+:\d+: \w/, 'its line');
unlike($t->read_file('out'), qr/reconfiguring/, 'no reload');
is($t->read_file('run/conf/litellm.conf'), $old, 'the old one');
is(chat('gpt-o', key => 'sk-first')->{status}, 200, 'which serves');

ok(reloads(sprintf($list, 'gpt-o', 'o2', '"sk;\'second"'),
	qr/reconfiguring/), 'a good file');
ok(wait_for(sub { chat('gpt-o', key => q{sk;'second})->{status} == 200 }),
	'another master key');
ok(wait_for(sub { chat('gpt-o', key => 'sk-first')->{status} == 401 }),
	'instead, when the old workers are gone');
ok(wait_for(sub { chat('gpt-o', key => q{sk;'second});
	json($up->last_request())->{model} eq 'o2' }), 'and another model');

ok(reloads(sprintf($list, 'gpt-o', 'o3', 'os.environ/OTHER'),
	qr/master_key is elsewhere now/), 'a master key elsewhere');
ok(wait_for(sub { chat('gpt-o', key => q{sk;'second});
	json($up->last_request())->{model} eq 'o3' }), 'takes the rest');
unlike(stop(), qr/sk-first|second/, 'no key in the log');

###############################################################################
