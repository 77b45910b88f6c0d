#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for forms of Retry-After: how long a key is out.

###############################################################################

use warnings;
use strict;

use Test::More;
use POSIX qw//;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key file:%%TESTDIR%%/keys;
        llm_key sk-good backup;
    }

EOF

my @cases = (

	# header and value, at least, at most seconds

	['Retry-After: 30', 28, 30],
	['Retry-After: 30.5', 29, 31],
	['retry-after: ' . POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT',
		gmtime(time() + 60)), 50, 60],
	['retry-after-ms: 20000', 18, 20],
	['retry-after-ms: 20000, Retry-After: 500', 18, 20],
	['retry-after-ms: x, Retry-After: 40', 38, 40],
	['Retry-After: 0', 0, 1],
	['Retry-After: ' . (time() + 60), 50, 60],
	['Retry-After: ' . (time() + 60) . '000', 50, 60],
	['Retry-After: ' . (time() - 60), 3, 5],
	['Retry-After: ' . (time() - 60) . '000', 3, 5],
	['Retry-After: Wed, 21 Oct 2015 07:28:00 GMT', 3, 5],
	['Retry-After: 3600', 3590, 3600],
	['Retry-After: 3601', 3, 5],
	['Retry-After: 99999999999', 3, 5],
	['Retry-After: 99999999999999999999', 3, 5],
	['Retry-After: 1e9', 3, 5],
	['Retry-After: -5', 3, 5],
	['Retry-After: NaN', 3, 5],
	['Retry-After: soon', 3, 5],
	['Retry-After:', 3, 5],
	['X-Other: 1', 3, 5],
);

$t->write_file('keys', join "\n", map { "sk-case-$_" } 0 .. $#cases);

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	return { json => {} } if $request->{key} !~ /sk-case-(\d+)/;
	return { status => 429, headers => [map { /^(\S+?):\s*(.*)/ }
		split /, (?=[rR]etry)/, $cases[$1][0]], json => {} };
});

$t->run()->plan(@cases + 1);

###############################################################################

is(chat('gpt-4o')->{status}, 200, 'through all of them');

my $j = json(get('/health'));
my %s = map { $_->{key} => $_->{retry_after} } @{$j->{healthy_endpoints}},
	@{$j->{unhealthy_endpoints}};

for my $n (0 .. $#cases) {
	my ($header, $min, $max) = @{$cases[$n]};
	my $is = $s{'openai-' . ($n + 1)};

	ok($is >= $min && $is <= $max, $header) or diag($is);
}

###############################################################################
