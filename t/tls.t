#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for TLS to providers: names, certificates, and no key without knowing to
# whom.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

my $t = LLMTest->new()->certificates(qw/one.example two.example other.example/);

$t->balancer(instead => 'proxy_ssl_trusted_certificate '
	. $t->testdir() . '/ca.crt;', http => <<'EOF', server => <<'EOF');

    upstream one {
        llm_provider custom base=https://one.example/v1;
        server 127.0.0.1:8443;
        llm_key sk-one;
        keepalive 8;
    }

    upstream two {
        llm_provider custom base=https://two.example/v1;
        server 127.0.0.1:8443;
        llm_key sk-two;
        keepalive 8;
    }

    upstream wrong {
        llm_provider custom base=https://one.example/v1;
        server 127.0.0.1:8444;
        llm_key sk-wrong;
    }

    upstream again {
        llm_provider custom base=https://one.example/v1;
        server 127.0.0.1:8443;
        llm_key sk-again;
    }

    upstream trusting {
        llm_provider custom base=https://one.example/v1 verify=off;
        server 127.0.0.1:8444;
        llm_key sk-trusting;
    }

    upstream plain {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-plain;
    }

    log_format w '$ssl_server_name|$http_host|$http_authorization|$connection|$ssl_session_reused|$connection_requests';

    server {
        listen 127.0.0.1:8443 ssl;
        server_name one.example;
        ssl_certificate one.example.crt;
        ssl_certificate_key one.example.key;
        access_log %%TESTDIR%%/w.log w;
        return 200 "{}";
    }

    server {
        listen 127.0.0.1:8443 ssl;
        server_name two.example;
        ssl_certificate two.example.crt;
        ssl_certificate_key two.example.key;
        access_log %%TESTDIR%%/w.log w;
        return 200 "{}";
    }

    server {
        listen 127.0.0.1:8444 ssl;
        ssl_certificate other.example.crt;
        ssl_certificate_key other.example.key;
        access_log %%TESTDIR%%/other.log w;
        return 200 "{}";
    }

    server {
        listen 127.0.0.1:8081;
        return 200 "{}";
    }

EOF

    llm_client_key master;

    location /unverified/ {
        rewrite ^/unverified(/.*) $1 break;
        llm_balancer on;
        proxy_pass https://$llm_upstream;
    }

    location /forgotten/ {
        rewrite ^/forgotten(/.*) $1 break;
        proxy_pass https://one;
    }

    location /untrusted/ {
        rewrite ^/untrusted(/.*) $1 break;
        llm_balancer on;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate %%TESTDIR%%/two.example.crt;
        proxy_pass https://$llm_upstream;
    }

EOF

$t->run()->plan(33);

###############################################################################

sub log_of { return [map { [split /\|/] } split /\n/, $t->read_file($_[0])] }

is(chat('one/x')->{status}, 200, 'one');
is(chat('two/x')->{status}, 200, 'two');

my $w = log_of('w.log');

is($w->[0][0], 'one.example', 'server name');
is($w->[0][1], 'one.example', 'host');
is($w->[0][2], 'Bearer sk-one', 'key');
is($w->[1][0], 'two.example', 'server name of the other');
is($w->[1][1], 'two.example', 'host of the other');
is($w->[1][2], 'Bearer sk-two', 'key of the other');

# both have the same address: nothing of one is used for the other

isnt($w->[0][3], $w->[1][3], 'connections do not cross');
is($w->[1][4], '.', 'sessions neither');

chat($_) for qw!one/x two/x one/x two/x!;
$w = log_of('w.log');

is($w->[2][3], $w->[0][3], 'connections are kept');
is($w->[3][3], $w->[1][3], 'of the other, too');
is(scalar(grep { $_->[0] ne $_->[1] } @$w), 0, 'names fit in every request');

# a certificate for another name

my $r = chat('wrong/x');
is($r->{status}, 503, 'wrong name');
is(json($r)->{error}{type}, 'server_error', 'type');
is(scalar @{log_of('other.log')}, 0, 'no key was sent');
ok($t->logged(qr/certificate does not match "one.example"/),
	'the log tells');

is(chat('again/x', uri => '/untrusted/v1/chat/completions')->{status}, 503,
	'unknown authority');
ok($t->logged(qr/certificate verify error/),
	'the log tells');

# without verification there is no key for anybody

for my $where (qw/unverified forgotten/) {
	my $n = @{log_of('w.log')};

	$r = chat('one/x', uri => "/$where/v1/chat/completions");

	is($r->{status}, 503, $where);
	is(json($r)->{error}{code}, 'gateway_misconfigured', "$where, code");
	is(@{log_of('w.log')}, $n, "$where, no key was sent");
	ok($t->logged(qr/no key is sent to upstream "one", as "proxy_ssl_v/),
	"$where, the log tells");
}

is(chat('plain/x', uri => '/unverified/v1/chat/completions')->{status}, 200,
	'plain HTTP is what was asked for');

# unless the upstream says so, whatever the location says

is(chat('trusting/x', uri => '/unverified/v1/chat/completions')->{status}, 200,
	'verify=off');
is(chat('trusting/x')->{status}, 200, 'verify=off where others are verified');
is(chat('wrong/x')->{status}, 503, 'which still are');

is(json(get('/health'))->{unhealthy_count}, 0, 'no key is to blame');

$t->stop();

# a location that cannot speak TLS at all

$t->balancer(location => 'proxy_pass http://one;', http => <<'EOF');

    upstream one {
        llm_provider custom base=https://one.example/v1;
        server 127.0.0.1:8443;
        llm_key sk-one;
    }

EOF

my ($out, $ok) = $t->test_config();
ok(!$ok && $out =~ m!"proxy_pass http://one" for the base URL!,
	'plain proxy_pass for a TLS base');

###############################################################################
