#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for reloads: keys are found again by what they are, and streams are
# counted on.

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

    include %%TESTDIR%%/keys.conf;

EOF

sub keys_conf {
	$t->write_file_expand('keys.conf', <<EOF);
    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key $_[0];
    }
EOF
}

keys_conf('sk-1,sk-2,sk-3');

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;

	return { status => 429, headers => ['Retry-After' => 60], json => {} }
		if $request->{key} eq 'sk-2';
	return { events => ['first', 120, 'last'] }
		if $request->{body} =~ /"stream":true/;
	return { json => {} };
});

$t->run()->plan(22);

###############################################################################

sub health {
	my $j = json(get('/health'));
	return { map { $_->{key} => $_ } map { @{$j->{$_}} }
		qw/healthy_endpoints unhealthy_endpoints/ };
}

sub in_flight {
	my $n = 0;
	$n += $_->{in_flight} for values %{health()};
	return $n;
}

# a key that is out stays out, wherever it stands then

chat('gpt-4o') for 1 .. 3;
my $h = health();
is($h->{'openai-2'}{state}, 'cooling', 'out');

keys_conf('sk-9,sk-3,sk-2,sk-1');
$t->reload();

my $g = health();
is($g->{'openai-3'}{state}, 'cooling', 'out after a reload');
is($g->{'openai-3'}{fingerprint}, $h->{'openai-2'}{fingerprint},
	'the same key');
is($g->{'openai-2'}{state}, 'usable', 'not the one in its place');
is($g->{'openai-4'}{tries}, $h->{'openai-1'}{tries}, 'counters go on');
is($g->{'openai-1'}{tries}, 0, 'and begin');

$up->clear();
chat('gpt-4o') for 1 .. 6;
is(scalar(grep { $_ eq 'sk-2' } $up->keys_used()), 0, 'it is not asked');
is(scalar(grep { $_ eq 'sk-9' } $up->keys_used()), 2, 'a new one is');

# 100 open streams

my @streams = map { chat('gpt-4o', stream => 1, start => 1, timeout => 60) }
	1 .. 100;
http_end($_, until => qr/first/) for @streams;

is(in_flight(), 100, 'streams');

$t->reload();
is(in_flight(), 100, 'after a reload');
is(scalar $t->workers('old'), 2, 'old workers keep them');

$t->reload();
is(in_flight(), 100, 'and after another');

chat('gpt-4o');
is(in_flight(), 100, 'new requests come and go');

close $_ for splice @streams, 0, 40;
ok(wait_for(sub { in_flight() == 60 }), 'some have ended');

close $_ for @streams;
ok(wait_for(sub { in_flight() == 0 }), 'all have ended');
ok(wait_for(sub { !$t->workers('old') }), 'and the old workers');

# a reload that fails leaves everything as it was

$t->write_file('keys.conf', "    upstream openai { nonsense; }\n");
kill 'HUP', $t->pid();
ok(wait_for(sub { $t->read_file('error.log') =~ /"nonsense"/ }), 'it failed');
is(health()->{'openai-3'}{state}, 'cooling', 'nothing has changed');
is(chat('gpt-4o')->{status}, 200, 'it works');

# one that fails after the zone was made: a port that is taken

my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1:0');
keys_conf('sk-1');
my $conf = $t->read_file('keys.conf');
$t->write_file('keys.conf', $conf . "server { listen 127.0.0.1:"
	. $s->sockport() . "; }\n");
kill 'HUP', $t->pid();
ok(wait_for(sub { $t->read_file('error.log') =~ /still could not bind/ }),
	'it failed late');
is(health()->{'openai-3'}{state}, 'cooling', 'nothing has changed');

$t->write_file('keys.conf', $conf);
$t->reload();
is(chat('gpt-4o')->{status}, 200, 'and the next one succeeds');

###############################################################################
