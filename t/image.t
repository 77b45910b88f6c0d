#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the image: built from the real Dockerfile, on a Debian of our own
# where no registry can be asked, and started as a container engine would.

###############################################################################

use warnings;
use strict;

use Test::More;
use POSIX qw//;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

plan(skip_all => 'needs root, to make a Debian and change into it') if $>;

my $t = LLMTest->new();
my $root = $LLMTest::ROOT;
my $d = "$root/objs/image";
my $storage = "--storage-driver=vfs --root $d/storage --runroot $d/run";

my $out = `$root/.ci/packages buildah podman debootstrap 2>&1`;
plan(skip_all => "no buildah: $out") if $?;

mkdir $d;

if (system("podman $storage image exists debian:trixie-slim 2>/dev/null")) {
	$out = base();
	plan(skip_all => "no Debian 13 from its archive: $out") if $out;
}

# whether this machine lets anything run in a container, whatever it is

chomp(my $probe = `buildah $storage from --pull-never debian:trixie-slim 2>&1`);
$out = `buildah $storage run --isolation chroot $probe true 2>&1`;
plan(skip_all => "no container runs here: $probe $out") if $?;
system("buildah $storage rm $probe >/dev/null 2>&1");

plan(tests => 39);

###############################################################################

# the build

my $engine = "buildah $storage bud --isolation chroot --network host "
	. '--pull-never --format docker';

$out = `make -s -C $root image IMAGE=llm-balancer-test ENGINE="$engine" 2>&1`;
is($?, 0, 'make image') or die(substr $out, -3000);

my $config = json(scalar `buildah $storage inspect --type image llm-balancer-test`)
	->{Docker}{config};

is($config->{User}, '10001:10001', 'no root');
is_deeply($config->{Entrypoint}, ['/usr/bin/llm-entrypoint'], 'no shell');
is_deeply([sort keys %{$config->{ExposedPorts}}], ['4000/tcp'], 'port');
is($config->{StopSignal}, 'SIGTERM', 'stop signal');
is_deeply($config->{Healthcheck}{Test},
	['CMD', '/usr/bin/llm-entrypoint', '--health'], 'health check');

chomp(my $c = `buildah $storage from --pull-never llm-balancer-test`);
chomp(my $mount = `buildah $storage mount $c`);
ok(-x "$mount/usr/bin/llm-entrypoint", 'a container') or die($mount);

is(join(' ', grep { -e } map { glob "$mount/usr/bin/$_" }
	qw/gcc* cc ld make *-cpp c++/), '', 'nothing of the compiler');
is(join(' ', grep { -e } "$mount/build", "$mount/usr/share/nginx/src"), '',
	'no sources');

# what it refuses

my $base = 'http://127.0.0.1:' . port(8081) . '/v1';
my @env = ("OPENAI_API_KEYS=a,b", "OPENAI_API_BASE=$base",
	"LITELLM_MASTER_KEY=master");
my @flags = ('--port', port(8080), qw/--num_workers 2 --telemetry False/);

my ($text, $rc) = output([], @flags);
isnt($rc, 0, 'no keys');
like($text, qr/\A\S+ there is no provider key: [^\n]+\n\z/, 'in one line');

($text, $rc) = output([@env[0, 1]], @flags);
isnt($rc, 0, 'no master key');
like($text, qr/\A\S+ LITELLM_MASTER_KEY is not set[^\n]+\n\z/, 'in one line');

($text, $rc) = output([], '--health');
isnt($rc, 0, 'not healthy before the start') or diag($text);

# the balancer

my $up = LLMUpstream->start($t, 8081, sub {
	my ($req) = @_;
	my $refused = LLMUpstream::refuses($req, keys => [qw/a b/]);
	return $refused if $refused;
	return { json => { real => 1 }, wait => $req->{body} =~ /slowly/ ? 2 : 0 };
});

system("touch -d '1 second ago' $d/stamp");

my $pid = start([@env], @flags, '--max_budget', '3', '--new-flag=1');
ok(wait_for(sub { get('/health/liveliness', key => undef)->{status} == 200
	if ready() }), 'it serves') or diag(logs());

is(json(chat('gpt-4o'))->{real}, 1, 'a request');
is(json(chat('openai/gpt-4o', uri => '/chat/completions'))->{real}, 1,
	'as the clients of the sidecar ask');
is(join(' ', $up->keys_used()), 'a b', 'each key in turn');
is(chat('gpt-4o', key => 'wrong')->{status}, 401, 'the master key');
is(chat('gpt-4o', text => 'x' x 9000000)->{status}, 200, 'a large body');

my $log = logs();
like($log, qr/--max_budget is ignored: /, 'a flag without a meaning');
like($log, qr/--new-flag is ignored: unknown/, 'an unknown one');
unlike($log, qr/telemetry/, 'the usual ones in silence');
like($log, qr/provider "openai": 2 keys/, 'keys are counted');
unlike($log, qr/\[(alert|emerg|crit)\]/, 'nothing is wrong');
like($t->read_file('err'), qr/start worker process \d+.*start worker process/s,
	'the error log, and two workers');

my @lines = grep { /"status"/ } split /\n/, $t->read_file('out');
is(scalar(grep { json($_) } @lines), scalar @lines, 'the access log is JSON');
is(json($lines[1])->{key}, 'openai-1', 'and tells the key');

($text, $rc) = output([], '--health');
is($rc, 0, 'healthy') or diag($text);

my $prune = join ' -o ', map { "-path '$mount/$_'" } qw!proc sys dev run
	var/lib/llm-balancer etc/hosts etc/resolv.conf!;
is(`find $mount -xdev \\( $prune \\) -prune -o -type f -newer $d/stamp -print`,
	'', 'nothing is written elsewhere');

# SIGTERM lets requests end

my $s = chat('gpt-4o', text => 'slowly', start => 1);
ok(wait_for(sub { $up->keys_used() >= 4 }), 'a request in flight');

kill 'TERM', entry($pid);
like(http_end($s), qr/"real":1/, 'is answered after SIGTERM');
ok(wait_for(sub { waitpid($pid, POSIX::WNOHANG()) == $pid }), 'and then it ends');
is($?, 0, 'well');

($text, $rc) = output([], '--health');
isnt($rc, 0, 'not healthy any more');

# LiteLLM's file

SKIP: {
	skip 'no llm-config', 2 unless -e "$root/docker/llm_config.c";

	$t->write_file('config.yaml', <<"EOC");
model_list:
  - model_name: mine
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEYS
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
EOC

	($text, $rc) = run_in("-v $t->{_dir}/config.yaml:/app/config.yaml:ro "
		. join(' ', map { "-e $_" } @env), @{$config->{Entrypoint}},
		qw!--config /app/config.yaml --validate_config!);
	like($text, qr/upstream "openai": 2 keys.*test is successful/s,
		'a configuration of LiteLLM');
	is($rc, 0, 'is taken') or diag($text);
}

# the example for those who write configurations

# buildah's pipes are not the user's, as Docker's are

my $example = $t->testdir() . '/nginx';
system("cp -r $root/docker/nginx $example && chmod -R a+rX $example && "
	. "sed -i 's!/dev/stdout!access.log!' $example/conf.d/llm.conf");

($text, $rc) = run_in("-v $example:/etc/nginx/llm:ro -e MISTRAL_API_KEYS=m "
	. join(' ', map { "-e $_" } @env), 'nginx', '-t', '-e', 'stderr', '-p',
	'/var/lib/llm-balancer', '-c', '/etc/nginx/llm/nginx.conf');
like($text, qr/test is successful/, 'the nginx example');
is($rc, 0, 'passes') or diag($text);

###############################################################################

# a Debian under the name that the Dockerfile has, with the machine's way to
# the archive

sub base {
	my $log = "$d/debootstrap.log";

	system("rm -rf $d/debian; debootstrap --variant=minbase trixie $d/debian "
		. ">$log 2>&1") == 0 or return "debootstrap: " . `tail -n 1 $log`;

	my @apt = grep { /^Acquire::https?::(Proxy|CaInfo)\b/i }
		split /\n/, `apt-config dump`;

	for my $file (map { /CaInfo.*"(.+)"/i ? $1 : () } @apt) {
		system("cp --parents $file $d/debian");
	}

	open my $fh, '>', "$d/debian/etc/apt/apt.conf.d/99machine" or return $!;
	print $fh map { "$_\n" } @apt;
	close $fh;

	system("tar -C $d/debian -c . | podman $storage import - "
		. "docker.io/library/debian:trixie-slim >>$log 2>&1; "
		. "rm -rf $d/debian");

	return $? ? 'podman import' : '';
}

# a command in the container: what it says, and its status

sub run_in {
	my ($options, @command) = @_;
	my $text = `buildah $storage run --isolation chroot $options $c -- @command 2>&1 </dev/null`;
	my $status = $?;

	# what buildah adds to a failure

	$text =~ s/^(Error: |error |exit status|time=|\[?\w* ?subprocess exited).*\n//mg;
	return ($text, $status);
}

sub output {
	my ($env, @args) = @_;
	return run_in(join(' ', map { "-e $_" } @$env),
		'timeout', 20, @{$config->{Entrypoint}}, @args);
}

sub start {
	my ($env, @args) = @_;
	my $pid = fork();

	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', $t->testdir() . '/out';
		open STDERR, '>', $t->testdir() . '/err';
		exec('buildah', (split / /, $storage), qw/run --isolation chroot/,
			(map { ('-e', $_) } @$env), $c, '--',
			@{$config->{Entrypoint}}, @args) or POSIX::_exit(1);
	}

	return $pid;
}

sub ready {
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port(8080));
}

# the first process of the container

sub entry {
	my @of = @_;

	while (@of) {
		my @next;

		for my $line (map { split /\n/, `ps -o pid=,args= --ppid $_` } @of) {
			my ($pid, $args) = $line =~ /^\s*(\d+)\s+(.*)/;
			return $pid if $args =~ m!^/usr/bin/llm-entrypoint!;
			push @next, $pid;
		}

		@of = @next;
	}

	return ();
}

sub logs {
	return $t->read_file('out') . $t->read_file('err');
}

END {
	local $?;

	if ($pid && waitpid($pid, POSIX::WNOHANG()) == 0) {
		kill 'KILL', entry($pid);
		waitpid($pid, 0);
	}

	system("buildah $storage rm $c >/dev/null 2>&1; "
		. "buildah $storage rmi --prune -f >/dev/null 2>&1; "
		. "buildah $storage rmi -f llm-balancer-test >/dev/null 2>&1")
		if $c;
}

###############################################################################
