#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for weights: the share of each key over several workers.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 4;', http => <<'EOF',

    log_format key $http_authorization;

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-three-3 weight=3;
        llm_key sk-two-2 weight=2;
        llm_key sk-one-1;
        keepalive 16;
    }

    server {
        listen 127.0.0.1:8081;
        access_log %%TESTDIR%%/keys.log key;
        return 200 "{}";
    }

EOF
	more => 'access_log %%TESTDIR%%/workers.log pid;', server => <<'EOF');

    llm_client_key master;

EOF

my $conf = $t->read_file('nginx.conf');
$conf =~ s/(log_format key)/log_format pid \$pid;\n    $1/;
$t->write_file('nginx.conf', $conf);

$t->run()->plan(6);

###############################################################################

# one process a connection would use one worker only; these end and come anew

my @pids;

for my $n (1 .. 6) {
	my $pid = fork();

	if ($pid == 0) {
		for (1 .. 1000) {
			my $r = chat('gpt-4o');
			POSIX::_exit(1) if $r->{status} != 200;
		}
		POSIX::_exit(0);
	}

	push @pids, $pid;
}

my $failed = 0;
for (@pids) { waitpid($_, 0); $failed += $? != 0; }

is($failed, 0, 'all 6000 went through');

my %keys;
$keys{$_}++ for split /\n/, $t->read_file('keys.log');

my %workers;
$workers{$_}++ for split /\n/, $t->read_file('workers.log');

cmp_ok(scalar keys %workers, '>', 1, 'several workers took part');

is($keys{'Bearer sk-three-3'} + $keys{'Bearer sk-two-2'}
	+ $keys{'Bearer sk-one-1'}, 6000, 'each request was sent once');

# within 1 % of the share

cmp_ok(abs($keys{'Bearer sk-three-3'} - 3000), '<=', 30, 'weight 3');
cmp_ok(abs($keys{'Bearer sk-two-2'} - 2000), '<=', 20, 'weight 2');
cmp_ok(abs($keys{'Bearer sk-one-1'} - 1000), '<=', 10, 'weight 1');

###############################################################################
