#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what an operator does to keys: park, drain, restore.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

use MIME::Base64;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;',
	http => <<'EOF', server => <<'EOF', spread => 1);

    llm_state state;

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-a,sk-b,sk-c;
    }

EOF

    llm_client_key master;
    llm_metrics_key reader;
    llm_admin_key admin name=alice;

    location = /status {
        llm_status;
    }

    location = /readonly {
        llm_admin_key env:LLM_TEST_NOT_SET;
        llm_status;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	return { pieces => [1, '{}'] } if $request->{body} =~ /late/;
	return { json => {} };
});

$t->run()->plan(37);

###############################################################################

sub act {
	my ($action, $key, %o) = @_;
	return request('POST', "/status?action=$action&upstream=openai&key=$key",
		key => 'admin', body => '', %o);
}

sub states {
	return join ' ', map { $_->{state} }
		@{json(get('/status'))->{upstreams}[0]{keys}};
}

sub used {
	$up->clear();
	chat('gpt-4o') for 1 .. 12;
	my %n = map { $_ => 1 } $up->keys_used();
	return join ' ', sort keys %n;
}

# who may

is(act('park', 'openai-1', key => undef)->{status}, 401, 'no key');
is(act('park', 'openai-1', key => 'wrong')->{status}, 401, 'a wrong key');
is(act('park', 'openai-1', key => $_)->{status}, 403, "the key $_")
	for qw/ master reader /;
is(request('POST', '/readonly?action=park&upstream=openai&key=openai-1',
	key => 'admin', body => '')->{status}, 403, 'no admin key there');

is(act('park', 'openai-1', headers => [@$_])->{status}, 403, "@$_") for
	([Origin => 'http://evil.example'], [Origin => 'null'],
	[Origin => 'http://localhost.evil'], ['Sec-Fetch-Site' => 'cross-site'],
	['Sec-Fetch-Site' => 'same-site', Origin => 'http://localhost']);

ok($t->logged(qr/\[warn\].*of another origin/), 'is told');
is(get('/status?action=park&upstream=openai&key=openai-1',
	key => 'admin')->{status}, 200, 'GET only shows');
is(states(), 'usable usable usable', 'nothing has happened');

# what is wrong

is(act('stop', 'openai-1')->{status}, 400, 'another action');
is(act('', 'openai-1')->{status}, 400, 'no action');
is(act('park', 'openai-9')->{status}, 404, 'another key');
is(request('POST', '/status?action=park&upstream=x&key=openai-1',
	key => 'admin', body => '')->{status}, 404, 'another upstream');

# park

my $r = act('park', 'openai-1', headers =>
	[Origin => 'http://localhost', 'Sec-Fetch-Site' => 'same-origin']);
is($r->{status}, 200, 'park');
is_deeply(json($r), { action => 'park', upstream => 'openai',
	key => 'openai-1', state => 'parked', in_flight => 0 }, 'in JSON');
ok($t->logged(qr/\[notice\].*key "openai-1" of upstream "openai" is parked .*by "alice"/),
	'who did it');
is(states(), 'parked usable usable', 'parked');
is(used(), 'sk-b sk-c', 'not used by any worker');

my ($k) = @{json(get('/status'))->{upstreams}[0]{keys}};
is("$k->{reason} $k->{by} $k->{retry_after}", 'parked operator 0', 'why');

# a key with something in flight, by a form of a browser

my $s = chat('gpt-4o', text => 'late', start => 1);
wait_for(sub { json(get('/status'))->{summary}{in_flight} == 1 });
my ($busy) = map { $_->{name} } grep { $_->{in_flight} }
	@{json(get('/status'))->{upstreams}[0]{keys}};

is(json(act('drain', $busy, key => undef, headers => [Authorization =>
	'Basic ' . encode_base64('x:admin', '')]))->{state}, 'draining', 'drain');
like(states(), qr/draining/, 'while it is in flight');
like(LLMTest::parse(LLMTest::http_end($s))->{body}, qr/\{\}/, 'which goes on');
ok(wait_for(sub { states() !~ /draining/ }), 'then it is parked');
is(scalar(split ' ', used()), 1, 'one is left');

# it stays

$t->reload();
is(scalar(() = states() =~ /parked/g), 2, 'after a reload');
is(scalar(split ' ', used()), 1, 'still one');

$t->stop();
$t->run();
is(scalar(() = states() =~ /parked/g), 2, 'after a restart');

# all of them

act('park', $_) for map { "openai-$_" } 1 .. 3;
ok(chat('gpt-4o')->{status} >= 400, 'none is left');
is(json(get('/health'))->{healthy_count}, 0, 'none is healthy');

# restore

is(json(act('restore', "openai-$_"))->{state}, 'usable', "restore $_")
	for 1 .. 3;
is(used(), 'sk-a sk-b sk-c', 'all are used again');

###############################################################################
