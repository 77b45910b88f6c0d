#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for addresses that change under the balancing methods of nginx, under a
# zone, and with keepalive in front of the provider.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMDNS;

###############################################################################

my $t = LLMTest->new();

my %blocks = (
	least_conn => 'least_conn; %s keepalive 4;',
	zone => 'zone z 64k; %s',
	first => 'keepalive 4; %s',
	random => 'random; %s keepalive 4;',
	hash => 'hash $uri consistent; %s',
	ip_hash => 'ip_hash; %s',
);

my @names = sort keys %blocks;

my %hosts = map { my $host = $_; $host =~ s/_/-/; $_ => $host } @names;

my $dns = LLMDNS->start($t, map { "$hosts{$_}.test A 127.0.0.1 1" } @names);

my $upstreams = join '', map { <<"EOF" } @names;

    upstream $_ {
        @{[sprintf $blocks{$_}, "llm_provider custom "
            . "base=http://$hosts{$_}.test:%%PORT_8081%%/v1; llm_key sk-1;"]}
    }

EOF

$t->balancer(main => 'worker_processes 1;', http => $upstreams . <<"EOF");

    resolver ${\$dns->address()};

    log_format c '\$connection \$server_addr \$http_host';

    server {
        listen 127.0.0.1:8081;
        listen 127.0.0.2:%%PORT_8081%%;
        access_log %%TESTDIR%%/provider.log c;
        return 200 '{"address":"\$server_addr"}';
    }

EOF

$t->run()->plan(@names * 3 + 6);

###############################################################################

sub address { return json(chat(@_))->{address} // '' }

is(address("$_/x"), '127.0.0.1', $_) for @names;

$dns->set(map { ("$hosts{$_}.test A 127.0.0.2 600",
	"$hosts{$_}.test A 127.0.0.3 600") } @names);

for my $name (@names) {
	ok(wait_for(sub { address("$name/x") eq '127.0.0.2' }, 5),
		"$name, another address");
	is(join(' ', map { address("$name/x") } 1 .. 4),
		join(' ', ('127.0.0.2') x 4), "$name, again and again");
}

# connections are kept

for my $name (qw/least_conn first random/) {
	my %seen = map { (split)[0] => 1 } grep { / 127.0.0.2 $hosts{$name}\./ }
		split /\n/, $t->read_file('provider.log');
	is(scalar keys %seen, 1, "$name, kept");
}

# those that look at what they made at start

for my $name (qw/random hash ip_hash/) {
	my ($out) = $t->test_config();
	like($out, qr/method of upstream "$name" is not used/, "$name, warning");
}

###############################################################################
