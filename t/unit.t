#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the rooms that know no requests: see the folder "unit".

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

my $module = $ENV{TEST_NGINX_UNIT_MODULE}
	|| "$LLMTest::ROOT/objs/unit/ngx_llm_unit_module.so";

BAIL_OUT("no module at $module, run make unit") unless -e $module;

my $t = LLMTest->new();

$t->write_file('unit.conf', <<EOF);

load_module $module;
pid $t->{_dir}/nginx.pid;
error_log $t->{_dir}/error.log;

llm_unit;

events {
}

EOF

###############################################################################

my @out = `$LLMTest::NGINX -t -c $t->{_dir}/unit.conf 2>&1`;

my ($plan) = map { /^1\.\.(\d+)/ } @out;

BAIL_OUT("unit tests did not end:\n@out") unless $plan;

plan(tests => $plan);

for (@out) {
	ok(!$1, $2) if /^(not )?ok \d+ - (.*)/;
}

###############################################################################
