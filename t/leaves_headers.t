#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what leaves: no credential of the client, and nothing about it.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF', server => <<'EOF', location => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-provider-1;
    }

    upstream anthropic {
        llm_provider anthropic base=http://127.0.0.1:8082;
        llm_key sk-ant-1;
    }

    upstream own {
        llm_provider custom base=http://127.0.0.1:8083/v1 auth=header:X-Own-Key;
        llm_key own-key-1;
    }

    upstream open {
        llm_provider custom base=http://127.0.0.1:8083/open auth=none;
    }

EOF

    llm_client_key client-secret;

    # everything that an operator may write, or forget

    location /bare/ {
        rewrite ^/bare(/.*) $1 break;
        proxy_pass http://openai;
    }

    location /late/ {
        rewrite ^/late(/.*) $1 break;
        proxy_pass http://$llm_upstream;
    }

    location /wrong/ {
        rewrite ^/wrong(/.*) $1 break;
        %%LLM_PROXY%%
        proxy_pass https://$llm_upstream;
        proxy_set_header Host $host;
        proxy_set_header Authorization $http_authorization;
        proxy_set_header X-Api-Key $http_x_api_key;
        proxy_set_header Cookie $http_cookie;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Client-Key $http_x_api_key;
        proxy_set_header X-Harmless yes;
    }

EOF
            %%LLM_PROXY%%
            proxy_pass https://$llm_upstream;
EOF

my @started = map {
	my ($port, %o) = @$_;
	LLMUpstream->start($t, $port, sub {
		return LLMUpstream::refuses($_[0], %o) || { json => {} };
	});
} [8081, keys => ['sk-provider-1'], host => '127.0.0.1:' . port(8081)],
	[8082, keys => ['sk-ant-1'], auth => 'x_api_key',
		host => '127.0.0.1:' . port(8082)];

push @started, LLMUpstream->start($t, 8083, sub { return { json => {} } });

my ($openai, $anthropic, $own) = @started;

$t->run()->plan(31);

###############################################################################

my @all = (
	'Authorization' => 'Bearer client-secret',
	'Proxy-Authorization' => 'Basic Y2xpZW50LXNlY3JldA==',
	'x-api-key' => 'client-secret',
	'api-key' => 'client-secret',
	'x-goog-api-key' => 'client-secret',
	'x-litellm-api-key' => 'client-secret',
	'Ocp-Apim-Subscription-Key' => 'client-secret',
	'Cookie' => 'session=1',
	'Forwarded' => 'for=192.0.2.1',
	'X-Forwarded-For' => '192.0.2.1',
	'X-Forwarded-Host' => 'inside.example',
	'X-Forwarded-Some-Very-Long-Name-That-Nobody-Has-Seen' => '1',
	'X-Real-IP' => '192.0.2.1',
	'OpenAI-Organization' => 'org-client',
	'OpenAI-Project' => 'proj_client',
	'x-goog-user-project' => 'client',
	'Accept-Encoding' => 'gzip, br',
	'X-Custom' => 'has client-secret inside',
	'X-Title' => 'App',
	'User-Agent' => 'test/1.0',
	'x-stainless-retry-count' => '0',
	'anthropic-beta' => 'tools',
);

my $body = '{"messages":[],"model":"gpt-4o"}';
my $uri = '/v1/chat/completions?key=client-secret&a=1&k2=x%63lient-secret'
	. '&b=client%2Dsecret&c=2';

sub sent {
	my ($upstream, $prefix, $model, $path) = @_;

	my $b = $body;
	$b =~ s/gpt-4o/$model/ if $model;

	my $u = $uri;
	$u =~ s!/chat/completions!$path! if $path;

	my $r = post("$prefix$u", $b, key => undef, headers => [@all]);
	is($r->{status}, 200, "$prefix passed") or diag($r->{body});

	return $upstream->last_request();
}

for my $prefix ('', '/bare', '/late', '/wrong') {
	my $seen = sent($openai, $prefix);

	unlike($seen->{head}, qr/client-secret/, "$prefix no client key anywhere");
	unlike($seen->{head}, qr/Y2xpZW50/, "$prefix nor for a proxy");
	is($seen->{uri}, '/v1/chat/completions?a=1&c=2', "$prefix arguments");
	is_deeply([grep { defined } @{$seen->{headers}}{qw/x-title user-agent
		x-stainless-retry-count anthropic-beta/}],
		['App', 'test/1.0', '0', 'tools'], "$prefix others are kept");
}

is($openai->last_request()->{headers}{'x-harmless'}, 'yes',
	'proxy_set_header works');
is($openai->last_request()->{body}, $body, 'the body as it was');

my $seen = sent($anthropic, '', 'anthropic/claude-x', '/messages');
is($seen->{headers}{'x-api-key'}, 'sk-ant-1', "Anthropic's header");
is($seen->{headers}{'anthropic-version'}, '2023-06-01', 'and its version');

$seen = sent($own, '', 'own/m');
is($seen->{headers}{'x-own-key'}, 'own-key-1', 'a header of its own');
ok(!defined $seen->{headers}{'authorization'}, 'and no other');

post('/v1/chat/completions', '{"messages":[],"model":"own/m"}',
	key => 'client-secret', headers => ['X-Own-Key' => 'clients']);
is($own->last_request()->{headers}{'x-own-key'}, 'own-key-1',
	'which a client cannot set');

$seen = sent($own, '', 'open/m');
ok(!grep({ /key|auth/ } keys %{$seen->{headers}}), 'no key at all');

###############################################################################
