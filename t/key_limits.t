#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for rpm=, tpm= and rpd=: no key is asked more often than its operator
# allows, whichever worker asks.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;', spread => 1,
	http => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1 rpm=5;
        llm_key sk-2 rpm=3;
    }

    upstream groq {
        llm_provider groq base=http://127.0.0.1:8081/v1;
        llm_key gsk-1 tpm=1000;
    }

    upstream mistral {
        llm_provider mistral base=http://127.0.0.1:8081/v1;
        llm_key m-1,m-2 rpd=2;
    }

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8081/v1beta;
        llm_key AIza-1 rpd=1;
    }

    upstream custom {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key c-1 rpm=2;
        llm_key c-2;
    }

EOF

# what an answer is billed as is in the request

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;

	my ($total) = $request->{body} =~ /total (\d+)/;

	return LLMUpstream::refuses($request, keys => [qw/sk-1 sk-2 gsk-1 m-1 m-2
			AIza-1 c-1 c-2/])
		|| { json => { object => 'chat.completion', choices => [],
			$total ? (usage => { prompt_tokens => $total - 1,
			completion_tokens => 1, total_tokens => $total + 0 }) : () } };
});

sub used {
	my %n;
	$n{$_}++ for $up->keys_used();
	return \%n;
}

sub key {
	my ($name) = @_;
	my ($key) = grep { $_->{key} eq $name } map { @$_ }
		@{json(get('/health'))}{qw/healthy_endpoints unhealthy_endpoints/};
	return $key;
}

# it is noon in London, and 4 o'clock at the Pacific coast

$t->clock(1894708800)->run()->plan(34);

###############################################################################

# many at once, by all workers

my @status = map { LLMTest::parse(http_end($_))->{status} }
	map { chat('gpt-4o', start => 1) } 1 .. 40;

is(scalar(grep { $_ == 200 } @status), 8, 'as many as all limits');
is(scalar(grep { $_ == 429 } @status), 32, 'the others are told');
is_deeply(used(), { 'sk-1' => 5, 'sk-2' => 3 }, 'as many as each limit');

my $r = chat('gpt-4o');
is($r->{status}, 429, 'one more');
is(json($r)->{error}{type}, 'rate_limit_error', 'type');
is($r->{headers}{'x-should-retry'}, 'false', 'no use to try at once');

my $left = $r->{headers}{'retry-after'};
ok($left > 50 && $left <= 64, 'until a minute has passed') or diag($left);

# that is no fault of the key's

is(key('openai-1')->{tries}, 5, 'tries');
is(key('openai-1')->{in_flight}, 0, 'none in flight');
is(json(get('/health'))->{unhealthy_count}, 0, 'all are well');

# a window that slides: never more within any minute

$t->advance($left - 2);
is(chat('gpt-4o')->{status}, 429, 'not before');

$t->advance(2);
$up->clear();
is(chat('gpt-4o')->{status}, 200, 'and then');
chat('gpt-4o') for 1 .. 10;
is_deeply(used(), { 'sk-1' => 5, 'sk-2' => 3 }, 'as many again');

# a reload does not forget

$t->reload();
is(chat('gpt-4o')->{status}, 429, 'after a reload');

# the next key has no limit

$up->clear();
is(scalar(grep { chat('custom/x')->{status} != 200 } 1 .. 9), 0, 'another key');
is_deeply(used(), { 'c-1' => 2, 'c-2' => 7 }, 'takes what is left');

# tokens: an estimate at first, and then what the provider has counted

is(chat('groq/x', text => 'total 100' . 'x' x 2000)->{status}, 200, 'tokens');
is(chat('groq/x', text => 'total 100' . 'x' x 2000)->{status}, 200,
	'it was less');
is(chat('groq/x', text => 'total 100' . 'x' x 3000)->{status}, 429,
	'a large one does not fit');
is(chat('groq/x', text => 'total 700')->{status}, 200, 'a small one does');
is(chat('groq/x', text => 'total 1')->{status}, 429, 'it was more');
$r = chat('groq/x', text => 'total 1');
$left = $r->{headers}{'retry-after'};
ok($left > 50 && $left <= 64, 'for a minute') or diag($left);

$t->advance($left);
is(chat('groq/x', text => 'x' x 40000)->{status}, 200,
	'one that is too large goes alone');
is(chat('groq/x')->{status}, 429, 'and nothing with it');

# a day: of the clock, in London for most, but Gemini's is another

sub seconds {
	my ($h, $m, $s) = get('/health')->{headers}{date}
		=~ /(\d\d):(\d\d):(\d\d)/;
	return $h * 3600 + $m * 60 + $s;
}

$up->clear();
is(scalar(grep { chat('mistral/x')->{status} == 200 } 1 .. 9), 4, 'of a day');
is_deeply(used(), { 'm-1' => 2, 'm-2' => 2 }, 'each');
is(chat('gemini/x')->{status}, 200, 'Gemini');
is(chat('gemini/x')->{status}, 429, 'of a day, too');

$left = chat('mistral/x')->{headers}{'retry-after'};
ok(abs($left - (86400 - seconds())) < 10, 'until midnight') or diag($left);

$t->advance($left - 10);
is(chat('mistral/x')->{status}, 429, 'not before');

$t->advance(11);
is(chat('mistral/x')->{status}, 200, 'a new day');
is(chat('gemini/x')->{status}, 429, 'not everywhere');

$left = chat('gemini/x')->{headers}{'retry-after'};
ok(abs($left - (8 * 3600 - seconds())) < 10, 'until its midnight')
	or diag($left);

$t->advance($left + 1);
is(chat('gemini/x')->{status}, 200, 'a new day there');

###############################################################################
