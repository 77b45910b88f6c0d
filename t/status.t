#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for llm_status: who may see it, and what the JSON says.

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

my $t = LLMTest->new()->balancer(http => <<'EOF', server => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_queue 1s 7;
        llm_key sk-slow name=slow rpm=50 group=org1;
        llm_key sk-good name=good weight=3 max_conns=9;
        llm_key sk-down name=down down;
        llm_key sk-spare name=spare backup;
    }

    llm_model fast openai/gpt-4o-mini;

EOF

    llm_client_key master name=app;
    llm_client_key other name=second;
    llm_metrics_key reader;
    llm_admin_key admin;

    location = /status {
        llm_status;
    }

    location = /status/anonymous {
        llm_status;
        llm_client_key off;
    }

    location = /status/nobody {
        llm_client_key nobody;
        llm_status;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;

	return { status => 429, headers => ['Retry-After' => 60], json =>
		{ error => { message => 'slow', code => 'rate_limit_exceeded' } } }
		if $request->{key} eq 'sk-slow';

	return { status => 400, json => { error => { message => 'bad' } } }
		if $request->{body} =~ /wrong/;

	return { status => 500, json => { error => { message => 'ill' } } }
		if $request->{body} =~ /broken/;

	my $usage = '{"usage":{"prompt_tokens":10,"completion_tokens":5,'
		. '"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4},'
		. '"completion_tokens_details":{"reasoning_tokens":3}}}';

	return { events => ['{"choices":[]}', 0.2, $usage, '[DONE]'] }
		if $request->{body} =~ /"stream":true/;

	return { headers => ['x-ratelimit-limit-requests' => 500,
			'x-ratelimit-remaining-requests' => 499,
			'x-ratelimit-reset-requests' => '6s'], body => $usage };
});

$t->run()->plan(59);

###############################################################################

sub status { json(get('/status', key => 'reader')) }

# who may see it

my $r = get('/status', key => undef);
is($r->{status}, 401, 'no key');
like($r->{headers}{'www-authenticate'}, qr/^Basic realm=/, 'a browser asks');
is(json($r)->{error}{code}, 'invalid_api_key', 'in JSON');
is(get('/status', key => 'sk-good')->{status}, 401, 'a key of a provider');

is(get('/status', key => $_)->{status}, 200, "the key $_")
	for qw/ master other reader admin /;

sub basic { [ Authorization => 'Basic ' . encode_base64($_[0], '') ] }

is(get('/status', key => undef, headers => basic('me:reader'))->{status}, 200,
	'basic');
is(get('/status', key => undef, headers => basic('reader:x'))->{status}, 401,
	'basic, a wrong password');
is(get('/status', key => undef, headers => ['x-api-key' => 'reader'])->{status},
	200, 'another header');
is(get('/status?key=reader', key => undef)->{status}, 401, 'not in arguments');
is(get('/status/anonymous', key => undef)->{status}, 401,
	'keys for the status count where clients need none');
is(get('/status/nobody', key => 'master')->{status}, 401, 'not a client here');
is(get('/status/nobody', key => 'reader')->{status}, 200, 'but the reader');
is(chat('gpt-4o', key => $_)->{status}, 401, "$_, for nothing else")
	for qw/ reader admin /;

# how it is answered

$r = get('/status', key => 'reader');
is($r->{headers}{'content-type'}, 'application/json', 'type');
is($r->{headers}{'cache-control'}, 'no-store', 'is not kept');
ok(json(get('/status?format=json', key => 'reader',
	headers => [Accept => 'text/html'])), 'JSON for a browser that asks so');
is(request('HEAD', '/status', key => 'reader')->{body}, '', 'HEAD');
is(request('DELETE', '/status', key => 'reader')->{status}, 405, 'DELETE');

# what it says before anything has happened

my $s = json($r);

is(join(' ', sort keys %$s), 'admin clients models since summary time '
	. 'upstreams version zone', 'names');
like($s->{version}, qr/^\d+\.\d+\.\d+$/, 'version');
ok(abs($s->{time} - time()) < 5 && $s->{since} <= $s->{time}, 'times');
is_deeply($s->{summary}, { keys => 4, usable => 3, requests => 0, tries => 0,
	refused => 0, errors => 0, tokens => 0, in_flight => 0, queued => 0 },
	'summary');
ok($s->{zone}{size} == 4194304 && $s->{zone}{nodes} > 4
	&& $s->{zone}{capacity} > 3000, 'zone');
is_deeply($s->{upstreams}[0]{queue},
	{ waiting => 0, number => 7, time => 1 }, 'queue');

my @keys = @{$s->{upstreams}[0]{keys}};

my @expect = (
	'slow|org1|primary|usable|||1|0', 'good||primary|usable|||3|9',
	'down||primary|down|down|operator|1|0', 'spare||backup|usable|||1|0',
);

is(join('|', @{$keys[$_]}{qw/ name group tier state reason by weight
	max_conns /}), $expect[$_], $expect[$_]) for 0 .. 3;

like($keys[0]{fingerprint}, qr/^[0-9a-f]{12}$/, 'fingerprint');
is(join(' ', map { 100 * $_->{share_expected} } @keys), '25 75 0 0', 'shares');

# requests

is(chat('gpt-4o')->{status}, 200, 'answered') for 1 .. 4;
is(chat('fast', key => 'other', stream => 1)->{status}, 200, 'a stream');
is(chat('gpt-4o', text => 'wrong')->{status}, 400, 'a bad request');

wait_for(sub { status()->{summary}{requests} == 6 });
$s = status();

my $u = $s->{upstreams}[0];
my ($slow, $good) = @{$u->{keys}};

is($s->{summary}{requests}, 6, 'requests');
is($s->{summary}{tokens}, 75, 'tokens');
is($s->{summary}{refused}, 1, 'refused');
is($s->{summary}{usable}, 2, 'usable');
is_deeply($u->{verdicts},
	{ ok => 6, wait => 1, finished => 0, ill => 0, elsewhere => 0 }, 'verdicts');
is_deeply($good->{tokens}, { input => 50, output => 25, cached => 20,
	reasoning => 15 }, 'tokens of a key');
ok($good->{last_used} > $s->{since} && $good->{tries} == 6, 'last used');
is("$slow->{state} $slow->{by}", 'cooling provider', 'a key is out');
like($slow->{reason}, qr/^rate_limit/, 'why');
ok($slow->{retry_after} > 50 && $slow->{retry_after} <= 60, 'and for how long');

my %l = map { $_->{what} => $_ } @{$slow->{limits}}, @{$good->{limits}};
is("$l{rpm}{limit} $l{rpm}{remaining} $l{requests}{limit}", '50 49 500',
	'limits');
ok($l{requests}{told} && !$l{rpm}{told}, 'and who says so');

is_deeply({ map { $_->{model} => $_->{requests} } @{$s->{models}} },
	{ 'gpt-4o' => 4, 'gpt-4o-mini' => 1 }, 'models, as they are sent');
is_deeply({ map { $_->{name} => "$_->{requests} $_->{tokens}{input}" }
	@{$s->{clients}} }, { app => '5 40', second => '1 10' }, 'clients');

# a request that fails

ok(chat('gpt-4o', text => 'broken')->{status} >= 500, 'all fail');
wait_for(sub { status()->{summary}{errors} });
is(status()->{summary}{errors}, 1, 'counted');

# reloads

my $before = status();
$t->reload();
my $after = status();

is_deeply($after->{clients}, $before->{clients}, 'clients after a reload');
is_deeply([map { $_->{tokens} } @{$after->{upstreams}[0]{keys}}],
	[map { $_->{tokens} } @{$before->{upstreams}[0]{keys}}], 'keys, too');

unlike(get('/status', key => 'reader')->{body}, qr/sk-|reader|master/,
	'no key is shown');

###############################################################################
