#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the key of a browser, which is one of the protocols of a WebSocket.

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
        llm_key sk-provider-1;
    }

EOF

my $openai = LLMUpstream->start($t, 8081, sub {
	return { raw => ["HTTP/1.1 101 Switching Protocols\r\n"
		. "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		. "Sec-WebSocket-Protocol: realtime\r\n\r\nhello"], end => 'close' };
});

$t->run()->plan(9);

###############################################################################

my @ws = (Upgrade => 'websocket', Connection => 'Upgrade',
	'Sec-WebSocket-Version' => '13', 'Sec-WebSocket-Key' => 'AAAA');

my $r = request('GET', '/v1/realtime?model=gpt-realtime', keep => 1,
	headers => [@ws, 'Sec-WebSocket-Protocol' =>
		'realtime, openai-insecure-api-key.master, openai-beta.realtime-v1']);

is($r->{status}, 101, 'upgraded');
is($r->{body}, 'hello', 'and spoken');

my $seen = $openai->last_request();

is($seen->{headers}{'sec-websocket-protocol'},
	'realtime,openai-beta.realtime-v1', 'protocols without the key');
is($seen->{headers}{'authorization'}, 'Bearer sk-provider-1', 'our key');
is($seen->{headers}{'upgrade'}, 'websocket', 'upgrade');
is(lc $seen->{headers}{'connection'}, 'upgrade', 'connection');
is($seen->{uri}, '/v1/realtime?model=gpt-realtime', 'uri');

request('GET', '/v1/realtime?model=openai/gpt-realtime', keep => 1,
	key => 'master', headers => [@ws]);

is($openai->last_request()->{uri}, '/v1/realtime?model=gpt-realtime',
	'the model in the arguments by its own name');

request('GET', '/v1/realtime?model=gpt-realtime', keep => 1, headers => [@ws,
	'Sec-WebSocket-Protocol' => 'openai-insecure-api-key.master']);

ok(!defined $openai->last_request()->{headers}{'sec-websocket-protocol'},
	'no header when nothing is left');

###############################################################################
