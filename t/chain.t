#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for fallback chains: the next upstream within the same request, with a
# path, a name of the model and a transport of its own.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->certificates('tls.example');

$t->balancer(main => 'worker_processes 2;', instead =>
	'proxy_ssl_trusted_certificate ' . $t->testdir() . '/ca.crt;',
	http => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-a1,sk-a2 group=a;
        llm_key sk-b1,sk-b2 group=b;
        llm_key sk-c1 group=c;
        keepalive 8;
    }

    # by TLS

    upstream gemini {
        llm_provider gemini base=https://tls.example/v1beta;
        server 127.0.0.1:8443;
        llm_key AIza-1,AIza-2;
        keepalive 8;
    }

    upstream groq {
        llm_provider groq base=http://127.0.0.1:8083/openai/v1;
        llm_key gsk-1;
        keepalive 8;
    }

    upstream custom {
        llm_provider custom base=http://127.0.0.1:8083/v1;
        llm_key gsk-1;
    }

    server {
        listen 127.0.0.1:8443 ssl;
        server_name tls.example;
        ssl_certificate tls.example.crt;
        ssl_certificate_key tls.example.key;

        location / {
            proxy_pass http://127.0.0.1:8082;
            proxy_set_header Host $http_host;
            proxy_set_header X-Server-Name $ssl_server_name;
        }
    }

    llm_model three  openai/gpt-1 gemini/gemini-2 groq/llama-3;
    llm_model tls    gemini/gemini-2 openai/gpt-1;
    llm_model same   openai gemini;
    llm_model other  gemini groq/llama-3;
    llm_model lost   openai/gpt-unknown groq/llama-3;
    llm_model alone  custom/unknown openai/gpt-1;

    log_format tries '$status|$llm_upstream|$llm_tries|$upstream_status';

EOF

my $conf = $t->read_file('nginx.conf');
$conf =~ s/(server_name localhost;)/$1 access_log $t->{_dir}\/tries.log tries;/;
$t->write_file('nginx.conf', $conf);

# the status that a provider gives to all but wrong requests is in a file

my %known = ('gpt-1' => 1, 'gemini-2' => 1, 'llama-3' => 1, 'same' => 1,
	'other' => 1);

my ($openai, $gemini, $groq) = map { my $port = $_;
	LLMUpstream->start($t, $port, sub {
	my ($request) = @_;

	my %o = $port == 8082 ? (host => 'tls.example') : ();

	$o{auth} = 'goog' if $request->{path} =~ /:generateContent/;

	my $refusal = LLMUpstream::refuses($request, %o, keys => [qw/sk-a1 sk-a2
		sk-b1 sk-b2 sk-c1 AIza-1 AIza-2 gsk-1/]);
	return $refusal if $refusal;

	my $j = json($request->{body});

	return { status => 400, json => { error => { message => 'no messages',
		type => 'invalid_request_error', code => 'invalid' } } }
		if $request->{body} =~ /wrong/;

	return { status => 404, json => { error => { message => 'no such model',
		type => 'invalid_request_error', code => 'model_not_found' } } }
		if ref $j && $j->{model} && !$known{$j->{model}};

	my $status = $t->read_file("status.$port") || 200;

	return { status => $status, $status == 200 ? (json => { ok => $port })
		: (headers => ['Retry-After' => 5], json => { error => {
			message => "failed $port", code => 'rate_limit_exceeded' } }) };
}) } 8081 .. 8083;

sub status {
	my %status = @_;
	$t->write_file("status.$_", $status{$_} // 200) for 8081 .. 8083;
	$_->clear() for $openai, $gemini, $groq;
}

sub asked { return join ' ', map { scalar $_->requests() }
	$openai, $gemini, $groq }

# all are as at the beginning

sub later { $t->advance(70); status(@_) }

status();

$t->clock()->run()->plan(48);

###############################################################################

my $r = chat('three');
is(json($r)->{ok}, 8081, 'the first');
is(asked(), '1 0 0', 'only');

# exhausted: plain to TLS, and back

later(8081 => 429);
$r = chat('three', text => 'Hello chain');
is(json($r)->{ok}, 8082, 'the second');
is(asked(), '3 1 0', 'behind each group of the first');

my ($one, $two) = (($openai->requests())[0], ($gemini->requests())[0]);
is($one->{path}, '/v1/chat/completions', 'path');
is($two->{path}, '/v1beta/openai/chat/completions', 'another path');
is($two->{headers}{'x-server-name'}, 'tls.example', 'by TLS');
is($two->{key}, 'AIza-1', 'another key');
is(json($one->{body})->{model}, 'gpt-1', 'model');
is(json($two->{body})->{model}, 'gemini-2', 'another model');
is_deeply(json($two->{body})->{messages}, json($one->{body})->{messages},
	'the same messages');

# while it is out, straight to the second

status(8081 => 429);
is(json(chat('three'))->{ok}, 8082, 'the second at once');
is(asked(), '0 1 0', 'the first is not asked');

status(8081 => 429, 8082 => 429);
is(json(chat('three'))->{ok}, 8083, 'the third');
is(asked(), '0 2 1', 'from TLS to plain');
is(json($groq->last_request()->{body})->{model}, 'llama-3', 'its model');
is($groq->last_request()->{path}, '/openai/v1/chat/completions', 'its path');

# nobody is left: the last answer

status(8083 => 429);
$r = chat('three');
is($r->{status}, 429, 'the last one fails, too');
is(json($r)->{error}{message}, 'failed 8083', 'its answer');
status();
$r = chat('three');
is($r->{status}, 429, 'all are out');
is(asked(), '0 0 0', 'nobody is asked');

later();
is(json(chat('three'))->{ok}, 8081, 'the first again');

# TLS is the first; a body that is large, and one that comes in chunks

later(8082 => 429);
my $text = join '', map { chr(97 + $_ % 26) } 1 .. 300000;
$r = chat('tls', text => $text);
is(json($r)->{ok}, 8081, 'from TLS to plain, large');
is(($openai->requests())[0]->{length}, ($gemini->requests())[0]->{length}
	- length('gemini-2') + length('gpt-1'), 'all of it');

later(8082 => 429);
$r = chat('tls', text => $text, chunked => 10000);
is(json($r)->{ok}, 8081, 'chunked');

# without another name it stays

later(8081 => 429);
chat('same');
is(json($gemini->last_request()->{body})->{model}, 'same', 'the same name');

# ill: one more key, then the next upstream

later(8081 => 500);
is(json(chat('three'))->{ok}, 8082, 'ill');
is(asked(), '2 1 0', 'one more key');

# refused keys, too

later(8081 => 401);
is(json(chat('three'))->{ok}, 8082, 'refused');
is(asked(), '5 1 0', 'all keys');
status();
$t->advance(3600);
chat('three') for 1 .. 10;

# what is wrong is so everywhere

later();
$r = chat('three', text => 'wrong');
is($r->{status}, 400, 'a wrong request');
is(asked(), '1 0 0', 'does not travel');
is(json($r)->{error}{message}, 'no messages', 'the answer');

# a model may be unknown to an organization, but not by a key of it

status();
$r = chat('openai/gpt-unknown');
is($r->{status}, 404, 'unknown model');
is(json($r)->{error}{code}, 'model_not_found', 'the answer');

$openai->clear();
chat('openai/gpt-unknown') for 1 .. 10;
my @groups = map { substr $_, 3, 1 } $openai->keys_used();
is(scalar @groups, 20, 'one other key each');
is(scalar(grep { $groups[2 * $_] eq $groups[2 * $_ + 1] } 0 .. 9), 0,
	'of another group') or diag("@groups");

status();
$r = chat('lost');
is($r->{status}, 404, 'unknown model in a chain');
is(asked(), '2 0 0', 'does not travel');

status();
is(chat('alone')->{status}, 404, 'with one group');
is(asked(), '0 0 1', 'neither');

# a native path: who has none is left out

later();
my $native = sub { post("/v1beta/models/$_[0]:generateContent",
	'{"contents":[]}') };

$r = $native->('same');
is(json($r)->{ok}, 8082, 'native: the first has no such path');
is(asked(), '0 1 0', 'it is not asked');

later(8082 => 429);
$r = $native->('other');
is($r->{status}, 429, 'native: the second has none');
is(json($r)->{error}{message}, 'failed 8082', 'the answer of the first');
is(asked(), '0 2 0', 'nobody else is asked');

wait_for(sub { $t->read_file('tries.log') =~ /\n200\|groq/ });
like($t->read_file('tries.log'), qr/^200\|gemini\|4\|429, 429, 429, 200$/m,
	'variables follow');
like($t->read_file('tries.log'), qr/^200\|groq\|3\|429, 429, 200$/m,
	'all the way');

###############################################################################
