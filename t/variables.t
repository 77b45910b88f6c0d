#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for variables, in a log, in maps, in headers and for the limits of nginx.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF', server => <<'EOF', more => 'add_header X-Log "$llm_upstream $llm_key_name" always; add_header X-Map $kind always; limit_req zone=client burst=3 nodelay;');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-bad-1,sk-good-2;
    }

    upstream eu {
        llm_provider mistral base=http://127.0.0.1:8081;
        llm_key sk-eu name=paris;
    }

    llm_model fast eu/mistral-small;

    map $llm_client:$llm_model $kind {
        default      other;
        "app:fast"   quick;
    }

    limit_req_zone $llm_client zone=client:1m rate=100r/m;

    log_format llm '$uri|$llm_upstream|$llm_provider|$llm_model|$llm_upstream_model|$llm_key_name|$llm_client|$llm_tries|$llm_connection';

EOF

    llm_client_key master name=app;
    llm_client_key other name=second;
    access_log %%TESTDIR%%/llm.log llm;

    location = /elsewhere {
        return 204;
    }

    location /headers/ {
        rewrite ^/headers(/.*) $1 break;
        %%LLM_PROXY%%
        proxy_set_header Host $proxy_host;
        proxy_set_header Connection $llm_connection;
        proxy_set_header X-Key-Name $llm_key_name;
        proxy_set_header X-Tries $llm_tries;
        proxy_pass https://$llm_upstream;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	return { status => 429, headers => ['Retry-After' => 1], json => {} }
		if $_[0]->{key} eq 'sk-bad-1';
	return { json => {} };
});

$t->run()->plan(14);

###############################################################################

my $r = chat('gpt-4o');
is($r->{headers}{'x-log'}, 'openai openai-2', 'in a header');
is($r->{headers}{'x-map'}, 'other', 'in a map');

chat('mistral/x', key => 'other');
is(chat('fast')->{headers}{'x-map'}, 'quick', 'in a map, the other');

get('/elsewhere');
chat('gpt-4o', key => 'wrong');
chat('unknown');
get('/v1/models');

request('GET', '/v1/realtime?model=fast', key => 'master', headers => [
	Upgrade => 'websocket', Connection => 'upgrade']);

my @expect = (
	'/v1/chat/completions|openai|openai|gpt-4o|gpt-4o|openai-2|app|2|',
	'/v1/chat/completions|eu|mistral|mistral/x|x|paris|second|1|',
	'/v1/chat/completions|eu|mistral|fast|mistral-small|paris|app|1|',
	'/elsewhere|-|-|-|-|-|-|-|',
	'/v1/chat/completions|-|-|-|-|-|-|-|',
	'/v1/chat/completions|-|-|unknown|-|-|app|-|',
	'/v1/models|-|-|-|-|-|app|-|',
	'/v1/realtime|eu|mistral|fast|mistral-small|-|app|-|upgrade',
);

wait_for(sub { (() = $t->read_file('llm.log') =~ /\n/g) >= @expect });

my @log = split /\n/, $t->read_file('llm.log');
is($log[$_], $expect[$_], "log line $_") for 0 .. 6;

# headers that are made of variables follow the tries

ok(wait_for(sub { !json(get('/health'))->{unhealthy_count} }), 'all are back');
$up->clear();
sleep 1;

chat('gpt-4o', uri => '/headers/v1/chat/completions', key => 'other')
	until $up->requests() > 1;

my ($first, $second) = map { $_->{headers} } $up->requests();

is("$first->{'x-key-name'} $second->{'x-key-name'}", 'openai-1 openai-2',
	'a header for each try');

# a limit by client, in the phase behind ours

my %n;
$n{chat('gpt-4o', key => 'other')->{status}}++ for 1 .. 10;

ok($n{503}, 'limit_req by client') or diag(join ' ', %n);
is(chat('fast')->{status}, 200, 'not for another');

###############################################################################
