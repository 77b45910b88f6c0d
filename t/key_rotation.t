#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the order in which keys are used: each in turn.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-one-1,sk-two-2,sk-three-3;
    }

EOF

my $openai = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;

	return LLMUpstream::refuses($request,
			keys => [qw/sk-one-1 sk-two-2 sk-three-3/])
		|| { json => { choices => [] } };
});

$t->run()->plan(3);

###############################################################################

is(chat('gpt-4o')->{status}, 200, 'first');
is(join(' ', map { chat('gpt-4o')->{status} } 1 .. 5), '200 200 200 200 200',
	'and five more');

is(join(' ', $openai->keys_used()), join(' ',
	(qw/sk-one-1 sk-two-2 sk-three-3/) x 2), 'each in turn');

###############################################################################
