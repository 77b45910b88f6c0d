#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for llm_state: what is known of keys survives a restart, and what can
# happen to the file.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new();
my $d = $t->testdir();

sub conf {
	my ($state, $zone) = @_;
	$zone //= '1m';

	$t->balancer(main => 'worker_processes 2;', http => <<"EOF");

    llm_zone $zone;
    llm_state $state;

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-cool,sk-dead;
        llm_key sk-day rpd=3;
    }

EOF

	return $t->read_file('nginx.conf');
}

# cool is out for a minute, dead is refused, day answers

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $script = $t->read_file('script');

	return { status => 429, headers => ['Retry-After' => 60], json =>
		{ error => { message => 'slow', code => 'rate_limit_exceeded' } } }
		if $request->{key} eq 'sk-cool' && $script =~ /refuse/;

	return { status => 401, json =>
		{ error => { message => 'no', code => 'invalid_api_key' } } }
		if $request->{key} eq 'sk-dead' && $script =~ /refuse/;

	return { json => { ok => 1 } };
});

sub script { $t->write_file('script', shift) }

sub health {
	my $j = json(get('/health'));
	return map { $_->{key} => $_->{retry_after} }
		@{$j->{healthy_endpoints}}, @{$j->{unhealthy_endpoints}};
}

sub states {
	my %h = health();
	return join ' ', map { "$_:" . ($h{$_} ? 'out' : 'in') } sort keys %h;
}

sub used {
	$up->clear();
	chat('gpt-4o') for 1 .. shift;
	my %n;
	$n{$_}++ for $up->keys_used();
	return join ' ', map { "$_:$n{$_}" } sort keys %n;
}

sub said {
	return join "\n", grep { /llm_state/ && !/\[debug\]/ }
		split /\n/, $t->read_file('error.log');
}

sub start {
	$t->write_file('error.log', '');
	return $t->run();
}

my $out = 'openai-1:out openai-2:out openai-3:in';
my $in = 'openai-1:in openai-2:in openai-3:in';

# all are killed, and nobody writes at the end

$t->expect_alerts(qr/exited on signal 9/);

$t->plan(54);

###############################################################################

# a test of the configuration makes nothing

my $conf = conf('state');
my ($said, $ok) = $t->test_config($conf);

ok($ok, 'nginx -t') or diag($said);
ok(!-e "$d/state", 'makes no file');

script('refuse');
start();

ok(-e "$d/state", 'a file, relative to the prefix');
is((stat "$d/state")[2] & 07777, 0600, 'for nobody else');
is(said(), '', 'nothing to say about a new one');

is(chat('gpt-4o')->{status}, 200, 'two are refused, the third one answers');
is(states(), $out, 'they are out');

# counts alone: quit does not wait

ok(wait_for(sub { -s "$d/state" > 24 }), 'written');
is(chat('gpt-4o')->{status}, 200, 'the second of the day');

$t->stop();
start();

like(said(), qr/\[notice\].*"\S+\/state": the state of [3-9] keys/, 'told');
is(states(), $out, 'they are out after a restart');

my %h = health();
ok($h{'openai-1'} > 40 && $h{'openai-1'} <= 60, 'for the time that was left')
	or diag($h{'openai-1'});

script('');
is(used(3), 'sk-day:1', 'and the day has one request left');

# nothing changes: nothing is written, and "nginx -t" leaves the file alone

sub seen { $t->read_file('state') . (stat "$d/state")[9] }

my $before = '';

ok(wait_for(sub {
	my $last = $before;
	$before = seen();
	sleep 2;
	$last eq $before;
}, 30), 'nothing has changed, nothing is written');

($said, $ok) = $t->test_config($conf);
ok($ok, 'nginx -t with a state');
ok(seen() eq $before, 'leaves it alone');

# a reload goes on in memory, what was in the file does not come back

$t->reload();
is(states(), $out, 'a reload keeps it');
is(scalar(() = said() =~ /the state of/g), 1, 'and does not restore it');

# a reload that fails changes nothing

conf("$d/nowhere/state");
kill 'HUP', $t->pid();
ok(wait_for(sub { $t->logged(qr!emerg\].*open\(\) "\S+/nowhere/state" fail!) }),
	'no such directory');
is(states(), $out, 'still there');

($said, $ok) = $t->test_config($t->read_file('nginx.conf'));
ok(!$ok, 'nginx -t says so too');
like($said, qr!open\(\) "\S+/nowhere/state" failed \(2: No such file!, 'why');

($said, $ok) = $t->test_config(conf($d));
ok(!$ok && $said =~ /open\(\) "\Q$d\E" failed/, 'a directory') or diag($said);

($said, $ok) = $t->test_config(conf('/dev/null'));
ok(!$ok && $said =~ m!"/dev/null" is not a file!, 'a device') or diag($said);

# one that fails later leaves no file

$conf = conf('other');
$t->write_file('nginx.conf',
	$conf =~ s/(server_name localhost;)/$1 listen 192.0.2.1:8099;/r);
kill 'HUP', $t->pid();
ok(wait_for(sub { $t->logged(qr/\[emerg\].*bind\(\) to 192.0.2.1/) }),
	'a reload that fails late');
ok(wait_for(sub { !-e "$d/other" }), 'leaves no file');

# another file gets all that is known, and the old one nothing

$t->write_file('nginx.conf', $conf);
$t->reload();
ok(wait_for(sub { -s "$d/other" }), 'another file');
is(states(), $out, 'a reload with another file');

# all are killed: the master first, so that it starts no others

wait_for(sub { $t->read_file('other') =~ /\x00{4}.{200}/s });

my @pids = ($t->pid(), $t->workers());
kill 'KILL', @pids;
wait_for(sub { $t->_gone() });
$t->{_nginx} = 0;
wait_for(sub { !grep { kill 0, $_ } @pids });
unlink "$d/nginx.pid";

start();
is(states(), $out, 'out after all were killed');
is(used(2), '', 'and the day is over');

# a zone of another size

conf('other', '2m');
$t->reload();
is(states(), $out, 'a zone of another size');

$t->stop();

# a write that was cut short: what was written before it counts

my $slot = 24 + 4096 * 88;
my $file = $t->read_file('other');
my @serial = map { unpack 'Q', substr $file, $_ + 8, 8 } 0, $slot;

is(abs($serial[0] - $serial[1]), 1, 'slots are written in turn');

substr($file, ($serial[0] > $serial[1] ? 0 : $slot) + 30, 20, 'x' x 20);
$t->write_file('other', $file);

start();
is(states(), $out, 'the write before the last one');
unlike(said(), qr/warn/, 'is no reason to complain');
$t->stop();

# files that are of no use

sub bad {
	my ($name, $content, $re) = @_;

	$t->write_file('other', $content);
	start();
	is(states(), $in, "$name: a start without state");
	is(scalar(() = said() =~ /llm_state/g), 1, "$name: one line");
	like(said(), $re, "$name: why") or diag(said());
	$t->stop();
}

sub header { pack 'L L Q L L', @_ }

bad('damaged', header(0x4c4c4d53, 1, 1, 1, 7) . 'x' x 88,
	qr/\[warn\].* is damaged/);
bad('empty', '', qr/\[notice\].* is empty/);
bad('newer', header(0x4c4c4d53, 2, 1, 0, 0), qr/\[warn\].* of a newer vers/);
bad('foreign', header(0x534d4c4c, 1, 1, 0, 0),
	qr/\[warn\].* of another arch/);

my $text = "user nobody;\n" x 100;
bad('something else', $text, qr/\[warn\].* is left alone/);
is($t->read_file('other'), $text, 'something else is left alone');

# a damaged one is written again

my $damaged = header(0x4c4c4d53, 1, 1, 1, 7);

script('refuse');
$t->write_file('other', $damaged);
start();

ok(wait_for(sub { $t->read_file('other') ne $damaged }), 'written at start');

$file = $t->read_file('other');
chat('gpt-4o');
ok(wait_for(sub { $t->read_file('other') ne $file }, 5), 'and when keys are out');
$t->stop();
start();
is(states(), $out, 'a damaged one is written again');

# no permission, as whoever has not all of them

SKIP: {
	skip 'no other user', 1 if $> != 0 || !defined getpwnam('nobody');

	$t->stop();

	chmod 0000, "$d/other";
	chmod 0777, $d;
	unlink "$d/nginx.pid";
	$t->write_file('test.conf', conf('other') =~ s!$d/(nginx.pid|\w+.log)!$d/own.$1!gr);

	my $out = join '', `setpriv --reuid=nobody --clear-groups $LLMTest::NGINX -t -p $d/ -c $d/test.conf 2>&1`;
	like($out, qr!emerg\] open\(\) "\S+/other" failed \(13:!, 'no permission');
}

###############################################################################
