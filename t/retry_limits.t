#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what bounds the tries besides the keys: directives of nginx.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new();

my @locations = (
	['tries', 'proxy_next_upstream_tries 2;'],
	['off', 'proxy_next_upstream off;'],
	['idempotent', 'proxy_next_upstream error timeout http_429 http_500;'],
	['only429', 'proxy_next_upstream error http_429 non_idempotent;'],
	['only500', 'proxy_next_upstream error http_500 non_idempotent;'],
	['time', 'proxy_next_upstream_timeout 1s;'],
	['unbuffered', 'proxy_request_buffering off;'],
);

$t->balancer(http => <<'EOF', server => 'llm_client_key master;' . join '',

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2,sk-3,sk-4;
    }

EOF
	map { <<EOF . $t->llm_proxy($_->[1]) . '}' } @locations);
    location /$_->[0]/ {
        rewrite ^/$_->[0](/.*) \$1 break;
        proxy_pass https://\$llm_upstream;
EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($status, $wait) = $request->{body} =~ /status (\d+) wait ([\d.]+)/;
	return { status => $status, wait => $wait, json => {},
		headers => ['Retry-After' => '1'] };
});

$t->run()->plan(22);

###############################################################################

sub tries {
	my ($where, $status, $wait, %o) = @_;

	wait_for(sub { !json(get('/health'))->{unhealthy_count} });
	$up->clear();

	my $r = chat('gpt-4o', text => "status $status wait " . ($wait || 0),
		uri => ($where ? "/$where" : '') . '/v1/chat/completions', %o);

	is($r->{status}, $status, "$where status $status");

	return scalar $up->requests();
}

is(tries('', 429), 4, 'all keys');
is(tries('tries', 429), 2, 'proxy_next_upstream_tries');
is(tries('off', 429), 1, 'off');
is(tries('off', 500), 1, 'off, 500');
is(tries('idempotent', 429), 1, 'without non_idempotent');
is(tries('only429', 429), 4, '429 only, 429');
is(tries('only429', 500), 1, '429 only, 500');
is(tries('only500', 429), 1, '500 only, 429');
is(tries('only500', 500), 2, '500 only, 500');
is(tries('time', 429, 0.6), 2, 'time');
is(tries('unbuffered', 429), 4, 'bodies are read in any case');

###############################################################################
