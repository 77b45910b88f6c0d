#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for answers of our own: JSON in every case, never an HTML page.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF', server => <<'EOF', instead => 'client_max_body_size 1k; proxy_connect_timeout 1s; proxy_read_timeout 1s;');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1;
    }

    upstream gone {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_key sk-gone;
    }

EOF

    llm_client_key master;

    location = /plain {
        return 404;
    }

    location /fast/ {
        rewrite ^/fast(/.*) $1 break;
        limit_req zone=fast;
        %%LLM_PROXY%%
        proxy_pass https://$llm_upstream;
    }

EOF

my $conf = $t->read_file('nginx.conf');
$conf =~ s/(    upstream openai)/    limit_req_zone \$llm_client zone=fast:1m rate=1r\/m;\n    limit_req_status 429;\n$1/;
$conf =~ s/llm_client_key master;/llm_client_key master name=app;/;
$t->write_file('nginx.conf', $conf);

my $openai = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($name) = $request->{body} =~ /"user":"(\w+)"/;

	return {
		html => { status => 502, headers => ['Content-Type' => 'text/html'],
			body => '<html>Bad Gateway</html>' },
		json503 => { status => 503, json => { error => { message => 'x' } } },
		refused => { status => 401, json => { error => {
			message => 'Incorrect API key provided: sk-1' } } },
		slow => { wait => 30 },
		garbage => { raw => ["GARBAGE\r\n\r\n"] },
		close => { raw => [''] },
	}->{$name || ''} || { json => {} };
});

$t->run()->plan(50);

###############################################################################

sub ask {
	my ($name, %o) = @_;
	return post(delete $o{uri} || '/v1/chat/completions',
		"{\"user\":\"$name\",\"model\":\"gpt-4o\"}", %o);
}

sub error {
	my ($r, $status, $type, $what) = @_;
	is($r->{status}, $status, "$what, status");
	is($r->{headers}{'content-type'}, 'application/json', "$what, type");
	is(json($r)->{error}{type}, $type, "$what, error type")
		or diag($r->{body});
	unlike($r->{body}, qr/<html|nginx/i, "$what, no page");
	ok($r->{complete}, "$what, whole");
}

error(ask('html'), 503, 'server_error', 'a page of the provider');
error(ask('slow'), 504, 'timeout_error', 'no answer in time');
error(ask('garbage'), 503, 'server_error', 'no HTTP');
error(ask('close'), 503, 'server_error', 'closed');

error(post('/v1/chat/completions', '{"model":"gone/x"}'), 503, 'server_error',
	'nobody there');

my $r = ask('json503');
is($r->{status}, 503, 'JSON of the provider');
is($r->{body}, '{"error":{"message":"x"}}', 'stays as it is');

error(ask('x' x 2000), 413, 'invalid_request_error', 'too large');

is(ask('ok', uri => '/fast/v1/chat/completions')->{status}, 200,
	'within limit_req');
error(ask('ok', uri => '/fast/v1/chat/completions'), 429,
	'rate_limit_error', 'beyond limit_req');

$r = request('GET', '/v1/chat/completions%00', key => 'master');
error($r, 400, 'invalid_request_error', 'an invalid request line');

# the keys of the gateway are not the client's fault

$r = ask('refused');
error($r, 401, 'authentication_error', 'refused key');
like(json($r)->{error}{message}, qr/yours is valid/, 'it says so');

# other locations are nginx's

$r = get('/plain');
like($r->{body}, qr/<html/, 'a page elsewhere');

###############################################################################
