#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for requests that are bound to a group, with llm_queue: they wait for
# that group, and nobody waits behind them.

###############################################################################

use warnings;
use strict;

use Test::More;
use Time::HiRes qw/time/;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;', http => <<'EOF');

    upstream openai {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2;
        llm_queue 10s 8;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $script = $t->read_file('script');

	return { status => 429, headers => ['Retry-After' => 2], json => {} }
		if $script && $script eq $request->{key};

	return { json => { id => "file-$request->{n}" } };
});

sub ask {
	my ($id, %o) = @_;
	return post('/v1/chat/completions',
		'{"model":"m"' . ($id ? ",\"file_id\":\"$id\"" : '') . '}', %o);
}

$t->write_file('script', '')->run()->plan(7);

###############################################################################

my $id = json(post('/v1/files', '{}'))->{id};
my $key = $up->last_request()->{key};

is(ask($id)->{status}, 200, 'bound');
is($up->last_request()->{key}, $key, 'to its key');

$t->write_file('script', $key);
my $s = ask($id, start => 1);
ok(wait_for(sub { ($up->keys_used())[-1] eq $key
	&& json(get('/health'))->{unhealthy_count} }), 'it is out');

$t->write_file('script', '');
$up->clear();

my $begin = time();
is(ask()->{status}, 200, 'others');
cmp_ok(time() - $begin, '<', 1, 'do not wait');

like(http_end($s), qr/ 200 /, 'it waits');
is($up->last_request()->{key}, $key, 'for its key');

###############################################################################
