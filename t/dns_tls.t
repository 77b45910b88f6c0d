#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for TLS to an address that was found while nginx runs: the certificate
# is that of the name, and sessions are used again at each address of it.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMDNS;

###############################################################################

my $t = LLMTest->new()->certificates(qw/one.test two.test/);

my $dns = LLMDNS->start($t,
	'one.test A 127.0.0.1 1',
	'two.test A 127.0.0.1 600',
	'wrong.test A 127.0.0.1 600',
);

my $names = join '', map { <<"EOF" } qw/one two wrong/;

    upstream $_ {
        llm_provider custom base=https://$_.test:%%PORT_8443%%/v1;
        llm_key sk-$_;
    }

EOF

my $servers = join '', map { <<"EOF" } qw/one two/;

    server {
        listen 127.0.0.1:8443 ssl;
        listen 127.0.0.2:%%PORT_8443%% ssl;
        server_name $_.test;
        ssl_certificate $_.test.crt;
        ssl_certificate_key $_.test.key;
        ssl_session_cache shared:tls:1m;
        access_log %%TESTDIR%%/w.log w;
        return 200 "{}";
    }

EOF

$t->balancer(main => 'worker_processes 1;', http => <<"EOF",

    resolver ${\$dns->address()};

    log_format w '\$server_addr|\$ssl_server_name|\$ssl_session_reused';

    $names
    $servers

EOF
	instead => 'proxy_ssl_trusted_certificate ' . $t->testdir() . '/ca.crt;'
);

$t->run()->plan(10);

###############################################################################

sub tried { return [map { [split /\|/] } split /\n/, $t->read_file('w.log')] }

is(chat('one/x')->{status}, 200, 'one');
is(chat('two/x')->{status}, 200, 'two');

my $w = tried();

is($w->[0][1], 'one.test', 'server name');
is($w->[0][2], '.', 'a new session');
is($w->[1][2], '.', 'nothing of it for another name');

chat('one/x');
is(tried()->[2][2], 'r', 'the session again');

$dns->set('one.test A 127.0.0.2 600', 'wrong.test A 127.0.0.1 600');

ok(wait_for(sub { chat('one/x'); tried()->[-1][0] eq '127.0.0.2' }, 5),
	'another address');

# the last session of the old address may be spent by the request that asked

chat('one/x');
ok(wait_for(sub { tried()->[-1][2] eq 'r' }), 'sessions again');

is(chat('wrong/x')->{status}, 503, 'another certificate');
ok($t->logged(qr/certificate does not match "wrong.test"/), 'log');

###############################################################################
