#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for which room may know which: no cycles, and nobody includes the door.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

my $src = "$LLMTest::ROOT/src";
my %room;

for my $file (glob "$src/*.[ch]") {
	my ($name) = $file =~ m!/ngx_http_llm_?(\w*)\.[ch]$!;
	open my $fh, '<', $file or die $!;

	while (<$fh>) {
		$room{$name || 'types'}{$1 || 'types'} = 1
			if /^#include "ngx_http_llm_?(\w*)\.h"/
			&& ($1 || 'types') ne ($name || 'types');
		$room{$name || 'types'}{"<$1>"} = 1 if /^#include <(.*)>/;
	}
}

plan(tests => 9);

###############################################################################

sub knows { return sort grep { !/^</ } keys %{$room{$_[0]}} }

# rooms that know no requests

for my $pure (qw/select limits mask catalog digest directive secret/) {
	my @bad = grep { !/^<|^(limits)$/ } keys %{$room{$pure}};
	push @bad, grep { /ngx_http/ } keys %{$room{$pure}};
	is("@bad", '', "$pure knows nobody");
}

# libraries have one user each

my %users;

for my $name (keys %room) {
	for my $header (keys %{$room{$name}}) {
		$users{$1}{$name} = 1 if $header =~ /^<(openssl|yajl)/;
	}
}

is_deeply({ map { $_ => join(' ', sort keys %{$users{$_}}) } keys %users },
	{ openssl => 'digest', yajl => 'json' }, 'one user of each library');

# no cycles

my (%seen, @cycle);

sub walk {
	my ($name, @path) = @_;

	if (grep { $_ eq $name } @path) {
		@cycle = (@path, $name);
		return;
	}

	return if $seen{$name}++ > 500;
	walk($_, @path, $name) for knows($name);
}

walk($_) for sort keys %room;

is(join(' -> ', @cycle), '', 'no cycle');

###############################################################################
