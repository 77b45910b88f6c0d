#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for answers that no other key would change: they reach the client,
# whatever proxy_next_upstream names.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF', instead =>

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2,sk-3;
    }

EOF
	'proxy_next_upstream error timeout http_403 http_404 http_429 http_500 '
	. 'non_idempotent;');

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($status, $what) = $request->{body} =~ /"content":"(\d+) ?([^"]*)"/;

	return { status => $status, headers => ['Content-Type' => 'text/html'],
		body => '<html>failed</html>' } if $what eq 'html';

	return { status => $status, json => { error => { message => "m$status",
		code => $what } } };
});

$t->run()->plan(27);

###############################################################################

for my $status (400, 403, 404, 413, 422) {
	$up->clear();

	my $r = chat('gpt-4o', text => "$status");

	is($r->{status}, $status, "$status reaches the client");
	is(json($r)->{error}{message}, "m$status", "$status, with its body");
	is(scalar $up->requests(), 1, "$status, once");
}

# the model may be known elsewhere

$up->clear();

my $r = chat('gpt-4o', text => '404 model_not_found');
is($r->{status}, 404, 'no such model');
is(json($r)->{error}{message}, 'm404', 'with its body');
is(scalar $up->requests(), 2, 'one other key was tried');
is(json(get('/health'))->{unhealthy_count}, 0, 'no key is to blame');

# failures that no table knows, and pages instead of JSON

for my $status (501, 507, 530) {
	$up->clear();

	$r = chat('gpt-4o', text => "$status html");

	is($r->{status}, 503, "$status html is a 503 for the client");
	is(json($r)->{error}{type}, 'server_error', "$status, with a body");
}

is(scalar $up->requests(), 2, 'one other key was tried');
is(chat('gpt-4o', text => '403 html')->{body}, '<html>failed</html>',
	'a page of less is left alone');

###############################################################################
