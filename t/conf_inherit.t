#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what is inherited from the levels around, and what is not.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF', server => <<'EOF');

    llm_client_key from-http name=http;

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1;
    }

    llm_model alias openai/from-http;
    llm_model other openai/other-http;

    server {
        listen 127.0.0.1:8082;

        llm_model alias openai/from-server;

        location / {
            %%LLM_PROXY%%
            proxy_pass https://$llm_upstream;

            location /nested {
                proxy_pass https://$llm_upstream;
            }
        }
    }

EOF

    location /own/ {
        rewrite ^/own(/.*) $1 break;
        llm_client_key from-location;
        %%LLM_PROXY%%
        proxy_pass https://$llm_upstream;
    }

    location /open/ {
        rewrite ^/open(/.*) $1 break;
        llm_client_key off;
        %%LLM_PROXY%%
        proxy_pass https://$llm_upstream;
    }

    location /off/ {
        llm_balancer off;
        proxy_pass http://127.0.0.1:8081;
    }

    location /if/ {
        rewrite ^/if(/.*) $1 break;
        %%LLM_PROXY%%
        proxy_pass https://$llm_upstream;

        if ($http_x_if) {
            set $unused 1;
        }
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub { return { json => {} } });

$t->run()->plan(17);

###############################################################################

sub model {
	my ($r) = @_;
	return $r->{status} == 200 ? json($up->last_request())->{model}
		: $r->{status};
}

is(model(chat('alias', key => 'from-http')), 'from-http', 'rules of http');
is(chat('alias', key => 'from-location')->{status}, 401, 'keys of http');

is(model(chat('alias', key => 'from-http', port => 8082)), 'from-server',
	'rules of a server');
is(model(chat('other', key => 'from-http', port => 8082)), 'other',
	'are all that it has');
is(model(chat('alias', key => 'from-http', port => 8082,
	uri => '/nested/v1/chat/completions')), 404, 'a nested location');

my $own = '/own/v1/chat/completions';

is(chat('alias', key => 'from-location', uri => $own)->{status}, 200,
	'keys of a location');
is(chat('alias', key => 'from-http', uri => $own)->{status}, 401,
	'are all that it has');
is(chat('alias', key => undef, uri => '/open/v1/chat/completions')->{status},
	200, 'no key where none is asked for');

for my $header ([], ['X-If' => 1]) {
	is(model(chat('alias', key => 'from-http', headers => $header,
		uri => '/if/v1/chat/completions')), 'from-http', "if @$header");
	is(chat('alias', key => 'wrong', headers => $header,
		uri => '/if/v1/chat/completions')->{status}, 401,
		"if @$header, keys");
	is($up->last_request()->{headers}{authorization}, 'Bearer sk-1',
		"if @$header, our key");
}

# a location that is not ours is left alone

is(chat('alias', key => 'clients-own', uri => '/off/x')->{status}, 200, 'off');
is($up->last_request()->{key}, 'clients-own', 'off, headers');
is(json($up->last_request())->{model}, 'alias', 'off, body');

###############################################################################
