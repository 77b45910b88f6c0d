#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for hints of the provider that cannot be right: the default counts
# instead, and the log tells which one it was, once an answer.

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

    upstream patient {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_queue 4s 10;
        llm_balance headroom;
        llm_key sk-1;
    }

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-secret;
    }

    upstream azure {
        llm_provider azure base=http://127.0.0.1:8081/v1;
        llm_key sk-3;
    }

EOF

my %headers = (
	locked => ['x-ratelimit-limit-requests' => 100,
		'x-ratelimit-remaining-requests' => 0,
		'x-ratelimit-reset-requests' => 99999999],
	past => ['Retry-After' => 'Wed, 21 Oct 2015 07:28:00 GMT'],
	several => ['x-ratelimit-limit-tokens' => 'many',
		'x-ratelimit-remaining-tokens' => -5, 'Retry-After' => 'never'],
	long => ['Retry-After' => 'x' x 32 . 'y'],
	binary => ['Retry-After' => "a\x01\xffb"],
	secret => ['Retry-After' => 'key sk-secret'],
	again => ['x-ratelimit-limit-tokens' => 5, 'x-ratelimit-limit-tokens' => 5,
		'Retry-After' => 7],
	unknown => ['x-ratelimit-reset-tokens' => -1,
		'x-ratelimit-remaining-tokens' => -1],
);

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($what) = $request->{body} =~ /"content":"([^"]*)"/;
	return { headers => $headers{$what} || [], json => {} };
});

$t->clock()->run()->plan(10);

###############################################################################

is(chat('patient/gpt-4o', text => 'locked')->{status}, 200,
	'a limit without an end');
$t->advance(5);
is(chat('patient/gpt-4o')->{status}, 200, 'its own window counts');

# what the log says of the last answer

sub doubts {
	my ($what, $upstream) = @_;
	my $before = () = $t->read_file('error.log') =~ /which cannot be|that cannot/g;

	chat(($upstream || 'openai') . '/gpt-4o', text => $what);

	my @lines = grep { /which cannot be|that cannot be/ }
		split /\n/, $t->read_file('error.log');
	splice @lines, 0, $before;
	return join '|', map { /\[info\].*?: (?:\*\d+ )?(upstream .*?)(?: while [^,]*)?, client/
		? $1 : $_ } @lines;
}

is(doubts('past'), 'upstream "openai" sent "retry-after: Wed, 21 Oct 2015 '
	. '07:28:00 GMT", which cannot be and is ignored', 'in the past');
is(doubts('several'), 'upstream "openai" sent "x-ratelimit-limit-tokens: many"'
	. ', which cannot be and is ignored', 'one line an answer');
like(doubts('long'), qr/: x{32}", which/, 'its beginning');
like(doubts('binary'), qr/: a\?\?b", which/, 'printable');
is(doubts('secret'), 'upstream "openai" sent "retry-after" with a value that '
	. 'cannot be and is not shown', 'the key is not logged');
is(doubts('again'), '', 'what comes again is no error');
is(doubts('good'), '', 'nor is nothing');
is(doubts('unknown', 'azure'), '', 'nor what Azure does not know');

###############################################################################
