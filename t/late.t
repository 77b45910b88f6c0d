#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for locations without the shipped lines: the same rules all the same.

###############################################################################

use warnings;
use strict;

use Test::More;
use Digest::MD5;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF', server => <<'EOF', location => 'proxy_pass http://$llm_upstream; client_body_buffer_size 1k; client_max_body_size 10m;');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-good-2;
    }

    upstream mistral {
        llm_provider mistral base=http://127.0.0.1:8082;
        llm_key sk-mistral;
    }

    llm_model fast openai/gpt-4o-mini;

    map $http_x_choice $choice {
        default  openai;
        second   mistral;
    }

EOF

    llm_client_key master name=app;

    location /static/ {
        rewrite ^/static(/.*) $1 break;
        proxy_pass http://mistral;
    }

    location /chosen/ {
        rewrite ^/chosen(/.*) $1 break;
        proxy_pass http://$choice;
    }

    location /marked/ {
        rewrite ^/marked(/.*) $1 break;
        llm_balancer on;
        proxy_pass http://$choice;
    }

    location /uri/ {
        llm_balancer on;
        proxy_pass http://openai/somewhere/else?x=y;
    }

EOF

my ($openai, $mistral) = map { my ($port, $name) = @$_;
	LLMUpstream->start($t, $port, sub {
		my ($request) = @_;
		return LLMUpstream::refuses($request, keys =>
			[qw/sk-good-2 sk-mistral/]) || { json => { from => $name } };
	}) } [8081, 'openai'], [8082, 'mistral'];

$t->run()->plan(26);

###############################################################################

my $r = chat('fast');

is($r->{status}, 200, 'works');
is($openai->last_request()->{version}, 'HTTP/1.0', 'as nginx does by default');
is(json($openai->last_request())->{model}, 'gpt-4o-mini', 'model');
is(chat('fast', key => 'wrong')->{status}, 401, 'client key');
is(chat('fast', key => undef)->{status}, 401, 'no client key');
is(json(chat('mistral/x'))->{from}, 'mistral', 'route');

$r = chat('unknown');
is($r->{status}, 404, 'unknown model');
is(json($r)->{error}{code}, 'model_not_found', 'as JSON');

is(post('/v1/chat/completions', '{"model":')->{status}, 400, 'wrong body');
is(post('/v1/organization/x', '{"model":"fast"}')->{status}, 404,
	'wrong path');

my $text = 'x' x 100_000;
is(chat('fast', text => $text)->{status}, 200, 'a body in a file');
is($openai->last_request()->{md5}, Digest::MD5::md5_hex('{"messages":['
	. '{"role":"user","content":"' . $text . '"}],"model":"gpt-4o-mini"}'),
	'as it is sent');

# a location that names an upstream, without a word of ours

$r = chat('gpt-4o', uri => '/static/v1/chat/completions');
is(json($r)->{from}, 'mistral', 'static');
is(json($mistral->last_request())->{model}, 'gpt-4o', 'static, model');
is(chat('x', uri => '/static/v1/chat/completions', key => 'no')->{status},
	401, 'static, client key');
is(json(get('/static/v1/models'))->{object}, 'list', 'static, own endpoint');

# what a variable of the operator says is done

for my $where (qw/chosen marked/) {
	is(json(chat('gpt-4o', uri => "/$where/v1/chat/completions"))->{from},
		'openai', "$where, first");
	is(json(chat('gpt-4o', uri => "/$where/v1/chat/completions",
		headers => ['X-Choice' => 'second']))->{from}, 'mistral',
		"$where, second");
	is($mistral->last_request()->{key}, 'sk-mistral', "$where, its key");
	is(chat('x', uri => "/$where/v1/chat/completions", key => 'no')
		->{status}, 401, "$where, client key");
}

# a path in proxy_pass has no say

chat('gpt-4o', uri => '/uri/v1/chat/completions');
is($openai->last_request()->{uri}, '/v1/chat/completions',
	'a URI in proxy_pass') or diag(explain($openai->last_request()));

my $n = 0;
$n += $_->{in_flight} for map { @{$_->{healthy_endpoints}},
	@{$_->{unhealthy_endpoints}} } json(get('/static/health'));
is($n, 0, 'nothing is left in flight');

###############################################################################
