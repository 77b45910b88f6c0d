#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for a 429: the next key at once, and the key out for as long as the
# provider says.

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
        llm_key sk-1,sk-2,sk-3;
        keepalive 4;
    }

    log_format tries '$status|$llm_tries|$llm_key_name|$upstream_status';

EOF

my $conf = $t->read_file('nginx.conf');
$conf =~ s/(server_name localhost;)/$1 access_log $t->{_dir}\/tries.log tries;/;
$t->write_file('nginx.conf', $conf);

# a key's answers, by what a test wrote for it: each line is used once

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $line = (grep { /^$request->{key} / } split /\n/,
		$t->read_file('script'))[-1] || '';

	return $line =~ /429 ?(.*)/ ? { status => 429, headers => [split /=/, $1],
		json => { error => { message => "slow $request->{key}",
		code => 'rate_limit_exceeded' } } } : { json => { ok => 1 } };
});

sub script { $t->write_file('script', join "\n", @_) }

sub states {
	my $j = json(get('/health'));
	return { map { $_->{key} => $_->{retry_after} }
		@{$j->{healthy_endpoints}}, @{$j->{unhealthy_endpoints}} };
}

script();

$t->run()->plan(26);

###############################################################################

script('sk-1 429 Retry-After=7');

my $r = chat('gpt-4o');
is($r->{status}, 200, 'another key answered');
is(join(' ', $up->keys_used()), 'sk-1 sk-2', 'the next one');
is(($up->requests())[0]->{md5}, ($up->requests())[1]->{md5}, 'the same body');
is(($up->requests())[0]->{connection}, ($up->requests())[1]->{connection},
	'on the same connection');

my $s = states();
ok($s->{'openai-1'} > 4 && $s->{'openai-1'} <= 7, 'out for Retry-After')
	or diag($s->{'openai-1'});
is($s->{'openai-2'}, 0, 'the other is not');

$up->clear();
chat('gpt-4o') for 1 .. 4;
is(scalar(grep { $_ eq 'sk-1' } $up->keys_used()), 0, 'not asked meanwhile');

# without a hint five seconds, with a longer one not less

script('sk-2 429');
chat('gpt-4o') for 1 .. 2;
$s = states();
ok($s->{'openai-2'} >= 4 && $s->{'openai-2'} <= 5, 'five seconds by default');

# the last key: its answer reaches the client whole

script('sk-3 429 Retry-After=3');
$r = chat('gpt-4o');
is($r->{status}, 429, 'last answer');
is(json($r)->{error}{message}, 'slow ****', 'its body');
is($r->{headers}{'retry-after'}, '3', 'its headers');
is($r->{headers}{'x-should-retry'}, 'false', 'no use to try again');

# all are out: nobody is asked, and the client knows for how long

$up->clear();
$r = chat('gpt-4o');
is($r->{status}, 429, 'all are out');
is(scalar $up->requests(), 0, 'nobody was asked');
is(json($r)->{error}{type}, 'rate_limit_error', 'type');
is(json($r)->{error}{code}, 'rate_limit_exceeded', 'code');
ok($r->{headers}{'retry-after'} >= 1 && $r->{headers}{'retry-after'} <= 3,
	'the earliest return') or diag($r->{headers}{'retry-after'});
is($r->{headers}{'x-should-retry'}, 'false', 'no use to try at once');

# they come back by themselves

script();
ok(wait_for(sub { chat('gpt-4o')->{status} == 200 }), 'one is back');
is($up->last_request()->{key}, 'sk-3', 'the first one');
ok(wait_for(sub { !grep { $_ } values %{states()} }), 'all are back');

# a key that was away has no arrears: the shares differ by less than a turn
# at the beginning and at the end

$up->clear();
chat('gpt-4o') for 1 .. 30;
my %n;
$n{$_}++ for $up->keys_used();
is(scalar(grep { abs($n{$_} - 10) > 1 } qw/sk-1 sk-2 sk-3/), 0,
	'and share the work') or diag(join ' ', %n);

ok($t->logged(qr/\[notice\].*key "openai-1" of upstream "openai" is out for 7000ms/),
	'logged by name');
is(scalar(() = $t->read_file('error.log') =~ /key "openai-1" .* is out/g), 1,
	'once');

wait_for(sub { (() = $t->read_file('tries.log') =~ /\n/g) > 5 });

my @log = split /\n/, $t->read_file('tries.log');
is($log[0], '200|2|openai-2|429, 200', 'variables');
ok(scalar(grep { $_ eq '429|0|-|-' } @log), 'variables without a try');

###############################################################################
