#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for a reload with another llm_zone: what was known is known in the new
# one, and when it gets too small for the keys the old one goes on.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;', http => <<'EOF');

    llm_zone 1m;

    upstream openai {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2;
    }

EOF

LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	return $request->{key} eq 'sk-1' ? { status => 429,
		headers => ['Retry-After' => 3000], json => {} } : { json => {} };
});

$t->run()->plan(5);

###############################################################################

sub state_of {
	my ($name) = @_;
	my $j = json(get('/health'));
	return join ' ', map { "$_->{state} $_->{tries}" }
		grep { $_->{key} eq $name }
		@{$j->{healthy_endpoints}}, @{$j->{unhealthy_endpoints}};
}

is(chat('gpt-4o')->{status}, 200, 'one key is limited');
is(state_of('openai-1'), 'cooling 1', 'and out');

for my $size ('2m', '256k') {
	my $conf = $t->read_file('nginx.conf');
	$conf =~ s/llm_zone \w+/llm_zone $size/;
	$t->write_file('nginx.conf', $conf);
	$t->reload();
	is(state_of('openai-1'), 'cooling 1', "still out in $size");
}

is(chat('gpt-4o')->{status}, 200, 'the other one goes on');

###############################################################################
