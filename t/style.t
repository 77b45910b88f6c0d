#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the source: layout, and one place for the versions of nginx.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

my $root = $LLMTest::ROOT;
my @files = map { s!^\Q$root\E/!!r } glob("$root/*.c"), glob("$root/src/*.[ch]"),
	glob("$root/docker/*.c"), glob("$root/t/unit/*.[ch]");

plan(tests => @files + 3);

###############################################################################

my $names = qr/if|for|while|switch|return|sizeof/;

for my $file (@files) {
	open my $fh, '<', "$root/$file" or die "$file: $!";
	my @lines = <$fh>;
	my @bad;

	push @bad, '1: does not begin with an empty line' if $lines[0] ne "\n";
	push @bad, 'no newline at the end' if $lines[-1] !~ /\n$/;

	my ($in, $name);

	for my $n (1 .. @lines) {
		local $_ = $lines[$n - 1];
		chomp;

		push @bad, "$n: over 80 columns" if length > 80;
		push @bad, "$n: a tab" if /\t/;
		push @bad, "$n: a space at the end" if /\s$/;
		push @bad, "$n: a // comment" if m!(^|[^:"])//! && !m!"[^"]*//!;
		push @bad, "$n: no space behind a keyword" if /\b(if|for|while|switch)\(/;
		push @bad, "$n: { on a line of its own behind a keyword"
			if /^\s+\{$/ && $lines[$n - 2] =~ /^\s*(if|for|while) \(.*\)$/;
		push @bad, "$n: nginx_version" if /nginx_version/
			&& $file !~ /compat\.h$/;
		push @bad, "$n: an else behind no empty line" if /^\s*\} else/
			&& $lines[$n - 2] =~ /\S/;

		($in, $name) = ($n, $1) if /^(\w+)\(/;
		push @bad, "$in: $name is " . ($n - $in) . ' lines long'
			if /^\}/ && $in && $n - $in > 150
			&& $name !~ /_feed$/;
		$in = 0 if /^\}/;
	}

	is(join("\n", @bad), '', $file);
}

# every allocation is looked at in the next line

my @unchecked;

for my $file (grep { /^src/ } @files) {
	open my $fh, '<', "$root/$file" or die "$file: $!";
	my $text = join '', <$fh>;

	while ($text =~ /
		^\s+[\w>.\-*\[\]]+ \s = \s (?:ngx_p?n?c?alloc|ngx_array_push
		|ngx_list_push|ngx_alloc_chain_link|ngx_calloc_buf
		|ngx_create_temp_buf|ngx_pool_cleanup_add)\( [^;]* ; \n
		([^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n)/xmg)
	{
		my $next = $1;
		push @unchecked, "$file: $&" if $next !~ /== NULL/;
	}
}

is(join("\n", @unchecked), '', 'allocations are checked');

# the build knows all files

open my $fh, '<', "$root/config" or die $!;
my $config = join '', <$fh>;
my @missing = grep { $config !~ m!/\Q$_\E ! } grep { /^src|^ngx/ } @files;
is("@missing", '', 'all files are in config');

my @words = `cd $root && git grep -nIE '(/tmp/|/root/|/home/)[a-z]' -- src conf.d docker ngx_* README.md Makefile 2>/dev/null`;
is(join('', @words), '', 'no paths of a machine');

###############################################################################
