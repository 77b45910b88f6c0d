#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the zone: sizes that are too small, and many keys.

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

my %o = (http => <<'EOF');

    llm_zone %%SIZE%%;

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key file:%%TESTDIR%%/keys;
    }

EOF

sub size {
	my ($size, $keys) = @_;
	$t->write_file('keys', join "\n", map { "sk-$_" } 1 .. $keys);
	$t->balancer(%o);
	my $conf = $t->read_file('nginx.conf') =~ s/%%SIZE%%/$size/r;
	$t->write_file('nginx.conf', $conf);
	return $t->test_config($conf);
}

plan(tests => 14);

###############################################################################

my ($out, $ok) = size('1k', 1);
ok(!$ok, 'too small');
like($out, qr/zone size "1k" is too small/, 'message');

($out, $ok) = size('x', 1);
ok(!$ok, 'no size');
like($out, qr/invalid zone size "x"/, 'message');

($out, $ok) = size('128k', 20);
ok($ok, 'the smallest one') or diag($out);

($out, $ok) = size('128k', 200);
ok(!$ok, 'too many keys');
like($out, qr/llm_zone is too small: it has room for \d+ keys/, 'message');

# as many as it has room for, through several reloads

($out, $ok) = size('1m', 800);
ok($ok, '800 keys in a megabyte') or diag($out);

my $up = LLMUpstream->start($t, 8081, sub { return { json => {} } });

$t->write_file('error.log', '')->run();

is(chat('gpt-4o')->{status}, 200, 'it works');
$t->reload() for 1 .. 4;
chat('gpt-4o') for 1 .. 5;
is(chat('gpt-4o')->{status}, 200, 'after reloads');
ok(!$t->logged(qr/no memory|too small/),
	'no lack of memory');

my %keys;
$keys{$_}++ for $up->keys_used();
is(scalar(grep { $_ > 2 } values %keys), 0, 'keys in turn');

$t->stop();

###############################################################################
