#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for configurations that are refused: what is wrong is named, a key never
# is.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

my $t = LLMTest->new();

my $good = 'llm_key sk-good;';

my @cases = (

	# inside of http, of the upstream, of the server; what is said

	['', '', '', qr/no "llm_key" in upstream "u" in/],
	['llm_zone;', $good, '', qr/invalid number of arguments/],
	['llm_zone x;', $good, '', qr/invalid zone size "x"/],
	['llm_zone 1m; llm_zone 1m;', $good, '', qr/"llm_zone" directive is dupl/],
	['llm_state;', $good, '', qr/invalid number of arguments/],
	['llm_state a b;', $good, '', qr/invalid number of arguments/],
	['llm_state a; llm_state a;', $good, '', qr/"llm_state" directive is dup/],
	['llm_state "";', $good, '', qr/invalid file ""/],
	['llm_state state/;', $good, '', qr!invalid file "state/"!],
	['llm_state nodir/state;', $good, '',
		qr!open\(\) "\S+/nodir/state" failed \(2:!],
	['', $good, 'llm_state a;', qr/"llm_state" directive is not allowed here/],
	['llm_providers file;', $good, '', qr/invalid value "file"/],
	['llm_providers env; llm_providers env;', $good, '', qr/is duplicate/],
	['', 'llm_provider openai;', '', qr/"llm_provider" directive is dupl/],
	['', "$good llm_key", '', qr/invalid number|unexpected/],
	['', 'llm_key sk-x weight=0;', '', qr/invalid parameter "weight=0"/],
	['', 'llm_key sk-x weight=x;', '', qr/invalid parameter "weight=x"/],
	['', 'llm_key sk-x weight=65536;', '', qr/parameter "weight=65536"/],
	['', 'llm_key sk-x max_conns=-1;', '', qr/parameter "max_conns=-1"/],
	['', 'llm_key sk-x models=;', '', qr/invalid parameter "models="/],
	['', 'llm_key sk-x models=,;', '', qr/invalid parameter "models=,"/],
	['', 'llm_key sk-x rpm=5 rpm=6;', '', qr/duplicate parameter "rpm=6"/],
	['', 'llm_key sk-x name=a weight=2 name=a;', '',
		qr/duplicate parameter "name=a"/],
	['', 'llm_key sk-x backup backup;', '', qr/duplicate parameter "backup"/],
	['', 'llm_key sk-x name=;', '', qr/invalid parameter "name="/],
	['', 'llm_key sk-x wieght=2;', '', qr/invalid parameter "wieght=2"/],
	['', 'llm_key sk-x bakup;', '', qr/invalid parameter "bakup"/],
	['', 'llm_key sk-secret1 sk-secret2;', '',
		qr/invalid parameter 2, which is not shown/],
	['', 'llm_key sk-x SECRET=secret;', '', qr/parameter 2, which is not/],
	['', 'llm_key env:LLM_TEST_NOT_SET;', '',
		qr/"env:LLM_TEST_NOT_SET" is not set/],
	['', 'llm_key file:/nowhere/secret;', '', qr!open\(\) "/nowhere/secret"!],
	['', 'llm_key file:/;', '', qr!"/" is not a key file!],
	['', 'llm_key file:%%TESTDIR%%/empty;', '', qr!no keys in "file:.*/empty"!],
	['', 'llm_key file:%%TESTDIR%%/broken;', '',
		qr!invalid character in key 2 of "file:!],
	['', "llm_key 'sk-se cret';", '', qr/invalid character in key 1 of "wri/],
	['', 'llm_key a name=n; llm_key b name=n;', '',
		qr/duplicate key name "n" in upstream "u"/],
	['', "$good llm_balance nonsense;", '', qr/invalid policy "nonsense"/],
	['', "$good llm_balance round_robin; llm_balance round_robin;", '',
		qr/is duplicate/],
	['llm_model a nowhere;', $good, '',
		qr/unknown upstream "nowhere" in "llm_model a"/],
	['llm_model a u/;', $good, '', qr/invalid target "u\/"/],
	['llm_model a u u/x u;', $good, '',
		qr/duplicate target "u" in "llm_model a"/],
	['llm_model a u/x u u/x;', $good, '', qr/duplicate target "u\/x"/],
	['llm_model a;', $good, '', qr/invalid number of arguments/],
	['llm_model a u; llm_model a u;', $good, '', qr/duplicate model "a"/],
	['llm_model "" u;', $good, '', qr/invalid model ""/],
	['llm_model ~( u;', $good, '', qr/pcre2?_compile\(\) failed/],
	['llm_price m 1;', $good, '', qr/invalid number of arguments/],
	['llm_price m 1 2 3 4;', $good, '', qr/invalid number of arguments/],
	['llm_price "" 1 2;', $good, '', qr/invalid model ""/],
	['llm_price m -1 2;', $good, '', qr/invalid price "-1"/],
	['llm_price m 1 2,5;', $good, '', qr/invalid price "2,5"/],
	['llm_price m 1 2 free;', $good, '', qr/invalid price "free"/],
	['', $good, 'llm_price m 1 2;', qr/"llm_price" directive is not allowed/],
	['llm_stream_usage yes;', $good, '', qr/invalid value "yes"/],
	['', $good, 'llm_client_key;', qr/invalid number of arguments/],
	['', $good, 'llm_client_key secret-a secret-b;', qr/invalid parameter/],
	['', $good, 'llm_client_key secret-a nam=x;', qr/parameter "nam=x"/],
	['', $good, 'llm_client_key sha256:secret;', qr/invalid "sha256:" value/],
	['', $good, 'llm_client_key sha256:' . 'x' x 64 . ';',
		qr/64 hexadecimal digits/],
	['', $good, 'llm_client_key off; llm_client_key secret;', qr/incompatible/],
	['', $good, 'llm_client_key secret; llm_client_key off;', qr/incompatible/],
	['', $good, 'llm_metrics_key secret-a secret-b;', qr/invalid parameter/],
	['', $good, 'llm_admin_key sha256:secret;', qr/invalid "sha256:" value/],
	['', $good, 'llm_admin_key;', qr/invalid number of arguments/],
	['', $good, 'location /s { llm_status html; }', qr/invalid value "html"/],
	['', $good, 'location /s { llm_status; llm_status; }', qr/is duplicate/],
	['llm_status;', $good, '', qr/"llm_status" directive is not allowed here/],
	['', $good, 'llm_balancer maybe;', qr/invalid value "maybe"/],
	['', $good, 'llm_listen 0.0.0.0 4000;', qr/invalid value "0.0.0.0"/],
	['', $good, 'llm_listen env:LLM_TEST_HOST env:LLM_TEST_PORT;',
		qr/"env:LLM_TEST_HOST" is not set/],
	['llm_key sk-secret;', $good, '', qr/"llm_key" directive is not allowed/],
	['upstream v { llm_key sk-secret; llm_provider openai; server 127.0.0.1; }',
		$good, '', qr/"llm_key" directive must come behind "llm_provider"/],
	['upstream v { llm_balance round_robin; server 127.0.0.1; }', $good, '',
		qr/must come behind "llm_provider"/],
	['upstream v { llm_provider openai; llm_key sk-x; least_conn; }', $good,
		'', qr/must come behind the balancing method in upstream "v"/],
);

my @providers = (
	['nobody', qr/unknown provider "nobody"/],
	['custom', qr/"custom" must have "base" parameter/],
	['azure', qr/"azure" must have "base" parameter/],
	['openai base=api.openai.com', qr/invalid base URL "api.openai.com"/],
	['openai base=ftp://x', qr/invalid base URL "ftp:\/\/x"/],
	['openai base=https://', qr/base URL "https:\/\/" of provider/],
	['openai base=https:///v1', qr/in base URL "https:\/\/\/v1"/],
	['openai base=https://h:port/v1', qr/invalid port in base URL/],
	['openai base=https://h/v1?x=y', qr/in base URL "https:\/\/h\/v1\?x=y"/],
	['openai base=https://u@h/v1', qr/in base URL "https:\/\/u\@h\/v1"/],
	['openai verify=no', qr/invalid parameter "verify=no"/],
	['openai auth=basic', qr/invalid parameter "auth=basic"/],
	['openai auth=header:', qr/invalid parameter "auth=header:"/],
	['openai auth=header:a:b', qr/invalid parameter "auth=header:a:b"/],
	['openai nonsense', qr/invalid parameter "nonsense"/],
	['custom base=http://127.0.0.1 auth=none',
		qr/"llm_key" directive is incompatible with "auth=none"/],
);

$t->write_file('empty', "\n \n")->write_file('broken', "sk-ok\nsk-\tsecret\n");

plan(tests => 2 * (@cases + @providers) + 2);

###############################################################################

sub conf {
	my ($http, $provider, $upstream, $server) = @_;
	$t->balancer(http => "$http\nupstream u { llm_provider $provider;\n"
		. "$upstream }", server => $server);
	my $conf = $t->read_file('nginx.conf');
	return $t->test_config($conf);
}

my $base = 'openai base=http://127.0.0.1:8081/v1';

my ($out, $ok) = conf('', $base, $good, 'llm_client_key secret;');
ok($ok, 'a good one') or diag($out);

for my $case (@cases) {
	my ($http, $upstream, $server, $re) = @$case;
	my $name = "$http $upstream $server";

	$server .= ' llm_client_key secret;' if $server !~ /client_key/;

	($out, $ok) = conf($http, $base, $upstream, $server);

	ok(!$ok && $out =~ $re, $name) or diag($out);
	unlike($out =~ s!/nowhere/secret!!r, qr/secret/, "$name, no key");
}

for my $case (@providers) {
	my ($provider, $re) = @$case;

	($out, $ok) = conf('', $provider, $good, 'llm_client_key secret;');

	ok(!$ok && $out =~ $re, $provider) or diag($out);
	like($out, qr/\[emerg\]/, "$provider, level");
}

# a name that does not resolve today does not keep the others from starting

($out, $ok) = conf('', 'openai base=http://name.invalid/v1', $good,
	'llm_client_key secret;');
ok($ok && $out =~ /\[warn\].*host not found "name.invalid" in base URL of upstream "u"/,
	'a name that does not resolve') or diag($out);

###############################################################################
