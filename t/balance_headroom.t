#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for "llm_balance headroom": the key that has more left, by what the
# provider says and by what was sent since.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;', http => <<'EOF',

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_balance headroom;
        llm_key sk-1,sk-2;
    }

    upstream custom {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_balance headroom;
        llm_key c-1,c-2,c-3;
    }

    upstream limits {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_balance headroom;
        llm_key l-1 rpm=100;
        llm_key l-2 rpm=10;
    }

EOF
	more => 'add_header X-Worker $pid always;', spread => 1);

# what a key's answers say of its limits is in a file, as limit/left/reset of
# the requests and of the tokens

sub told {
	my (%keys) = @_;
	$t->write_file('told', join '', map { "$_ $keys{$_}\n" } keys %keys);
}

my ($openai, $custom) = map { LLMUpstream->start($t, $_, sub {
	my ($request) = @_;

	my $refusal = LLMUpstream::refuses($request,
		keys => [qw/sk-1 sk-2 c-1 c-2 c-3 l-1 l-2/]);
	return $refusal if $refusal;

	my ($told) = $t->read_file('told') =~ /^$request->{key} (.*)$/m;
	my %headers;

	$told //= '';

	for my $what (qw/requests tokens/) {
		$told =~ s!^(\S+)/(\S+)/(\S+)\s*!! or last;
		@headers{map { "x-ratelimit-$_-$what" } qw/limit remaining reset/}
			= ($1, $2, $3);
	}

	return { json => {}, headers => [%headers],
		$request->{body} =~ /hang/ ? (wait => 120) : () };
}) } 8081, 8082;

sub used {
	my ($count, $model, $up) = @_;
	$up ||= $openai;
	$up->clear();
	chat($model) for 1 .. $count;
	return join ' ', $up->keys_used();
}

my %workers;

$t->clock()->run()->plan(16);

###############################################################################

# a model of its own for each, as OpenAI's limits are by models

told('sk-1' => '100/10/54s 10000/9000/6s', 'sk-2' => '100/90/6s 10000/9000/6s');
is(used(2, 'gpt-a'), 'sk-1 sk-2', 'both are asked once');
is(used(6, 'gpt-a'), join(' ', ('sk-2') x 6), 'more requests left');

told('sk-1' => '100/95/3s 10000/8000/12s',
	'sk-2' => '100/99/600ms 10000/2000/48s');
used(2, 'gpt-b');
is(used(6, 'gpt-b'), join(' ', ('sk-1') x 6), 'more tokens left');

# what runs is counted, whatever process sent it

told('sk-1' => '20/10/30s 100000/100000/0s',
	'sk-2' => '20/20/0s 100000/100000/0s');

for (1 .. 100) {
	$workers{chat('gpt-c')->{headers}{'x-worker'}}++;
	last if keys %workers > 1;
}

is(scalar keys %workers, 2, 'several workers');

used(2, 'gpt-c');
$openai->clear();

my @open = map { chat('gpt-c', start => 1, text => 'hang') } 1 .. 14;
ok(wait_for(sub { $openai->requests() == 14 }), 'requests run');

my %n;
$n{$_}++ for $openai->keys_used();
ok($n{'sk-1'} > 0 && $n{'sk-1'} < 5, 'as many as each has room for')
	or diag(join ' ', %n);
close $_ for @open;

# the estimate of tokens is by the size: one that is large is worth many

told('sk-1' => '1000/1000/0s 60000/60000/0s',
	'sk-2' => '1000/1000/0s 60000/60000/0s');
used(2, 'gpt-d');

$openai->clear();
my $s = chat('gpt-d', start => 1, text => 'hang' x 20000);
ok(wait_for(sub { scalar $openai->requests() }), 'a large request runs');

my $other = $openai->last_request()->{key} eq 'sk-1' ? 'sk-2' : 'sk-1';
is(used(6, 'gpt-d'), join(' ', ($other) x 6), 'small ones go elsewhere');
close $s;

# nothing left: not before there is, however much has been used elsewhere

told('sk-1' => '1/0/30s', 'sk-2' => '100/100/0s');
used(2, 'gpt-e');
$t->advance(20);
told('sk-1' => '1/0/30s', 'sk-2' => '100/1/59s');
is(used(6, 'gpt-e'), join(' ', ('sk-2') x 6), 'not asked before its reset');

$t->advance(11);
like(used(2, 'gpt-e'), qr/sk-1/, 'asked behind it');

# all have nothing left: who knows

told('sk-1' => '100/0/60s', 'sk-2' => '100/0/60s');
used(2, 'gpt-f');
is(chat('gpt-f')->{status}, 200, 'sent though none is left');

# a 429 is its own word

is(json(get('/health'))->{unhealthy_count}, 0, 'none is out');

# a silent provider

%n = ();
$n{$_}++ for split / /, used(9, 'custom/x', $custom);
is_deeply(\%n, { 'c-1' => 3, 'c-2' => 3, 'c-3' => 3 }, 'silent: shares');
is(used(6, 'custom/x', $custom), 'c-1 c-2 c-3 c-1 c-2 c-3', 'in turn');

# nonsense changes nothing

told('c-1' => '-5/NaN/never 9e99/-1/-7', 'c-2' => 'x/y/z', 'c-3' => '0/0/0');
is(used(6, 'custom/y', $custom), 'c-1 c-2 c-3 c-1 c-2 c-3', 'nonsense');

# what the operator knows

%n = ();
$n{$_}++ for split / /, used(55, 'limits/x', $custom);
ok(abs($n{'l-2'} - 5) < 2, 'by their rpm=') or diag(join ' ', %n);

###############################################################################
