#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for memory errors: the whole round, under valgrind.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

plan(skip_all => 'no valgrind') unless `which valgrind`;
plan(skip_all => 'runs under valgrind already') if $ENV{TEST_NGINX_VALGRIND};

my @files = qw/round late retry_5xx comes_back_errors stream_sse
	stream_usage leaves_websocket/;

plan(tests => scalar @files);

###############################################################################

$ENV{TEST_NGINX_VALGRIND} = 1;

for my $file (@files) {
	my $out = `prove -I$LLMTest::ROOT/t/lib $file.t 2>&1`;
	is($?, 0, $file) or diag($out);
}

###############################################################################
