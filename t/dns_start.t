#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for a start without an answer from a name server, requests that wait
# for one, and an IPv6 address.

###############################################################################

use warnings;
use strict;

use Test::More;
use IO::Socket::IP;
use Time::HiRes qw/sleep time/;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMDNS;

###############################################################################

my $t = LLMTest->new();

my $dns = LLMDNS->start($t, 'SILENT');

my $ipv6 = IO::Socket::IP->new(
	LocalHost => '::1', LocalPort => port(8081), Listen => 1,
	Proto => 'tcp', V6Only => 1,
) ? 1 : 0;

my $names = join '', map { <<"EOF" } qw/one two waited six mixed gone/;

    upstream $_ {
        llm_provider custom base=http://$_.test:%%PORT_8081%%/v1;
        llm_key sk-1;
    }

EOF

my $six = $ipv6 ? 'listen [::1]:%%PORT_8081%%;' : '';

$t->balancer(main => 'worker_processes 1;', http => $names . <<"EOF");

    resolver ${\$dns->address()};
    resolver_timeout 2s;

    server {
        listen 127.0.0.1:8081;
        $six
        return 200 '{"address":"\$server_addr"}';
    }

EOF

$t->run()->plan(17);

###############################################################################

sub address { return json(chat(@_))->{address} // '' }

for my $name (qw/one two/) {
	ok($t->logged(qr/host not found "$name.test:\d+" in base URL of upstream "$name", which is down until it is found/),
		"$name, started without");
}

is(json(get('/health'))->{healthy_count}, 0, 'health');

my $begin = time();
my $r = chat('gone/x');

is($r->{status}, 503, 'no answer');
is(json($r)->{error}{code}, 'provider_unresolved', 'code');
cmp_ok(time() - $begin, '<', 4, 'in resolver_timeout');

# then it is there

my @records = (
	'one.test A 127.0.0.1',
	'two.test A 127.0.0.1',
	'six.test AAAA ::1',
	'mixed.test AAAA fe80::1',
	'mixed.test A 127.0.0.1',
);

$dns->set(@records);

ok(wait_for(sub {
	json(get('/health'))->{healthy_count} >= 4 }, 15), 'found by itself');
is(address('one/x'), '127.0.0.1', 'one');
is(address('two/x'), '127.0.0.1', 'two');

SKIP: {
	skip 'no IPv6', 1 unless $ipv6;
	is(address('six/x'), '::1', 'IPv6');
}

address('mixed/x') for 1 .. 4;
unlike($t->read_file('error.log'), qr/\[(error|alert|crit)\].*fe80/,
	'no way, no try');

# many wait for one query, and some do not wait until its end

$dns->set('waited.test DELAY 0.5', 'waited.test A 127.0.0.1', @records);

# a name is asked for once a second at most

sleep 1.1;

my $asked = () = $dns->queries(qr/^waited.test A$/);
my @waiting = map { chat('waited/x', start => 1) } 1 .. 6;

close $_ for splice @waiting, 0, 2;

is(scalar(grep { LLMTest::parse(http_end($_))->{status} == 200 } @waiting), 4,
	'all that wait are told');
cmp_ok((() = $dns->queries(qr/^waited.test A$/)) - $asked, '<=', 1,
	'by one query');
is(address('waited/x'), '127.0.0.1', 'found');

# as does one whose worker ends

$dns->set('gone.test DELAY 1.5', 'gone.test A 127.0.0.1', @records);
sleep 1.1;

my $s = chat('gone/x', start => 1);

$t->reload();

is(LLMTest::parse(http_end($s))->{status}, 200, 'a worker that ends');
is(address('gone/x'), '127.0.0.1', 'after a reload');
ok(wait_for(sub { !$t->workers('old') }), 'which does end');

###############################################################################
