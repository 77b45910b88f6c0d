#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for upstreams that fail: nobody waits for one that is ill, it is tried
# again by one request, and what all keys meet is held against none of them.

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
        llm_key sk-1,sk-2,sk-3;
    }

    upstream groq {
        llm_provider groq base=http://127.0.0.1:8082/openai/v1;
        llm_key gsk-1,gsk-2;
    }

    upstream mistral {
        llm_provider mistral base=http://127.0.0.1:8083/v1;
        llm_key m-1,m-2,m-3;
    }

    upstream other {
        llm_provider custom base=http://127.0.0.1:8083/v1;
        llm_key m-1,m-2,m-9;
    }

    upstream four {
        llm_provider custom base=http://127.0.0.1:8083/v1;
        llm_key m-1,m-2,m-3,m-9;
    }

    # nobody listens there

    upstream gone {
        llm_provider custom base=http://127.0.0.1:8084/v1;
        llm_key g-1,g-2;
    }

    llm_model chain   groq/a openai/b;
    llm_model chained mistral/a openai/b;
    llm_model default openai;

EOF

# how each provider is, is in a file

my ($openai, $groq, $mistral) = map { my $port = $_;
	LLMUpstream->start($t, $port, sub {
	my ($request) = @_;
	my $how = $t->read_file("how.$port");
	my @slow = $request->{body} =~ /slow/ ? (wait => 0.5) : ();

	return { @slow, status => 500, json => { error => { message => 'ill' } } }
		if $how eq 'ill' || ($how eq 'mixed' && $request->{n} % 3 == 0);

	return LLMUpstream::refuses($request, keys => $how eq 'closed' ? []
			: [qw/sk-1 sk-2 sk-3 gsk-1 gsk-2 m-1 m-2 m-3/])
		|| { @slow, json => { ok => 1 } };
}) } 8081 .. 8083;

sub how { $t->write_file('how.' . (8080 + $_[0]), $_[1]) }

sub states {
	my ($upstream) = @_;
	return join ' ', map { $_->{state} } sort { $a->{key} cmp $b->{key} }
		grep { $_->{key} =~ /^$upstream/ } map { @$_ }
		@{json(get('/health'))}{qw/healthy_endpoints unhealthy_endpoints/};
}

# the statuses of requests that are sent at once

sub at_once {
	my ($count, $model) = @_;
	my %n;
	$n{LLMTest::parse(http_end($_))->{status}}++
		for map { chat($model, start => 1, text => 'slow') } 1 .. $count;
	return join ' ', map { "$_=$n{$_}" } sort keys %n;
}

how($_, 'well') for 1 .. 3;

$t->clock()->run()->plan(56);

###############################################################################

# each request has two tries

how(1, 'ill');
chat('gpt-4o') for 1 .. 4;
is(scalar $openai->requests(), 8, 'asked so far');
ok(!$t->logged(qr/upstream "openai" is out/), 'not yet');

chat('gpt-4o');
ok($t->logged(qr/\[warn\].*upstream "openai" is out for 5000ms/), 'out: log');
is(states('openai'), 'usable usable usable', 'no key is');

$openai->clear();
my $r = chat('gpt-4o');
is($r->{status}, 503, 'status');
is(json($r)->{error}{type}, 'server_error', 'type');
is(json($r)->{error}{code}, 'provider_error', 'code');
is($r->{headers}{'x-should-retry'}, 'false', 'no use to try at once');
my $left = $r->{headers}{'retry-after'};
ok($left >= 4 && $left <= 5, 'for five seconds') or diag($left);
is(at_once(8, 'gpt-4o'), '503=8', 'all the same');
is(scalar $openai->requests(), 0, 'nobody is asked');

# half open: one request, and longer when it fails

$t->advance(5.1);
is(at_once(10, 'gpt-4o') =~ /503=9/, 1, 'nine are told');
is(scalar $openai->requests(), 1, 'one is the try');
ok($t->logged(qr/upstream "openai" is out for 10000ms/), 'twice as long');

$t->advance(8);
$openai->clear();
is(chat('gpt-4o')->{status}, 503, 'still out');
is(scalar $openai->requests(), 0, 'not asked');

$t->advance(2.1);
how(1, 'well');
is(at_once(10, 'gpt-4o'), '200=1 503=9', 'the try succeeds');
ok($t->logged(qr/\[notice\].*upstream "openai" is back/), 'back: log');
is(at_once(10, 'gpt-4o'), '200=10', 'all are served');

# more answers than failures: it works well enough

how(1, 'mixed');
my $open = () = $t->read_file('error.log') =~ /upstream "openai" is out/g;
chat('gpt-4o') for 1 .. 30;
is(scalar(() = $t->read_file('error.log') =~ /upstream "openai" is out/g),
	$open, 'a third of them');

# slowly enough: never

how(1, 'ill');
for (1 .. 4) {
	$t->advance(11);
	chat('gpt-4o') for 1 .. 4;
}
is(scalar(() = $t->read_file('error.log') =~ /upstream "openai" is out/g),
	$open, 'few at a time');

how(1, 'well');
$t->advance(11);
is(chat('gpt-4o')->{status}, 200, 'well');

# with a fallback: asked until it opens, and then passed by

how(2, 'ill');
is(join(' ', map { chat('chain')->{status} } 1 .. 5), '200 200 200 200 200',
	'the fallback answers');
$groq->clear();
$openai->clear();
is(join(' ', map { chat('chain')->{status} } 1 .. 5), '200 200 200 200 200',
	'it goes on');
is(scalar $groq->requests(), 0, 'straight to it');
is(scalar $openai->requests(), 5, 'once each');
is(json($openai->last_request()->{body})->{model}, 'b', 'under its name');

# back: one request tries, and falls back unseen if that fails

$t->advance(5.1);
is(at_once(6, 'chain'), '200=6', 'all are answered');
is(scalar $groq->requests(), 1, 'one was the try');

$t->advance(10.1);
how(2, 'well');
is(at_once(6, 'chain'), '200=6', 'all are answered again');
$groq->clear();
chat('chain') for 1 .. 4;
is(scalar $groq->requests(), 4, 'it is first again');

# a reload does not forget

how(2, 'ill');
chat('groq/x') for 1 .. 8;
$t->reload();
$groq->clear();
is(chat('groq/x')->{status}, 503, 'out after a reload');
is(scalar $groq->requests(), 0, 'not asked');
is(states('groq'), 'usable usable', 'by no fault of keys');

# all keys that worked are refused at once: it is not the keys

chat('mistral/x') for 1 .. 3;
how(3, 'closed');
$r = chat('mistral/x');
ok($r->{status} == 401 || $r->{status} == 503, 'all are refused')
	or diag($r->{status});
is(states('mistral'), 'usable usable usable', 'held against none');
ok($t->logged(qr/all keys of upstream "mistral" were refused at once/), 'log');
ok($t->logged(qr/upstream "mistral" is out for 5000ms/), 'the upstream is');

$mistral->clear();
is(chat('chained')->{status}, 200, 'the fallback');
is(scalar $mistral->requests(), 0, 'straight to it');

# and while it lasts

$t->advance(5.1);
is(chat('chained')->{status}, 200, 'still the fallback');
is(scalar $mistral->requests(), 3, 'which was found out by one request');
is(states('mistral'), 'usable usable usable', 'held against none');

how(3, 'well');
$t->advance(10.1);
is(chat('mistral/x')->{status}, 200, 'well again');
my %n;
$mistral->clear();
chat('mistral/x') for 1 .. 9;
$n{$_}++ for $mistral->keys_used();
is_deeply(\%n, { map { $_ => 3 } qw/m-1 m-2 m-3/ }, 'with all keys');

# a key that was refused before is no witness

how(3, 'well');
chat('four/x') for 1 .. 4;
is(states('four'), 'usable usable usable finished', 'three of four work');
how(3, 'closed');
$r = chat('four/x');
is(states('four'), 'usable usable usable finished', 'which are not to blame');
ok($t->logged(qr/all keys of upstream "four" were refused at once/), 'log');
how(3, 'well');

# two that are refused are what they seem to be

chat('other/x') for 1 .. 4;
is(states('other'), 'usable usable finished', 'two of three work');
how(3, 'closed');
is(chat('other/x')->{status}, 401, 'all are refused');
is(states('other'), 'finished finished finished', 'each for itself');

# one that cannot be reached

chat('gone/x') for 1 .. 9;
ok(!$t->logged(qr/upstream "gone" is out/), 'unreachable: not yet');
is(json(chat('gone/x'))->{error}{type}, 'server_error', 'the tenth');
ok($t->logged(qr/upstream "gone" is out for 5000ms/), 'out');
is(states('gone'), 'usable usable', 'by no fault of keys');
ok(chat('gone/x')->{headers}{'retry-after'}, 'for a while');

###############################################################################
