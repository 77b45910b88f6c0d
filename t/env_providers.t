#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for providers from the environment, and upstream blocks in their place.

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

$ENV{OPENAI_API_KEYS} = 'sk-env-1,sk-env-2';
$ENV{OPENAI_API_BASE} = 'http://127.0.0.1:' . port(8081) . '/v1';
$ENV{MISTRAL_API_KEY} = 'sk-mistral-env';
$ENV{MISTRAL_API_BASE} = 'http://127.0.0.1:' . port(8081);
$ENV{GROQ_API_KEYS_FILE} = $t->testdir() . '/groq';
$ENV{GROQ_API_BASE} = 'http://127.0.0.1:' . port(8081) . '/openai/v1';
$ENV{OLLAMA_API_BASE} = 'http://127.0.0.1:' . port(8081);
$ENV{COHERE_API_KEY} = '';

$t->write_file('groq', "gsk-1,gsk-2\n");

$t->balancer(http => <<'EOF');

    upstream mistral {
        llm_provider mistral base=http://127.0.0.1:8082;
        llm_key sk-mistral-block;
    }

    llm_providers env;

    upstream groq {
        llm_provider groq base=http://127.0.0.1:8082/openai/v1;
        llm_key env:GROQ_API_KEYS;
        keepalive 4;
    }

EOF

my $env = LLMUpstream->start($t, 8081, sub { return { json => { from =>
	'env' } } });
my $block = LLMUpstream->start($t, 8082, sub { return { json => { from =>
	'block' } } });

$t->run()->plan(31);

###############################################################################

is(json(chat('gpt-4o'))->{from}, 'env', 'from the environment');
is(json(chat('openai/x'))->{from}, 'env', 'by prefix');
is(json(chat('mistral-large'))->{from}, 'block', 'a block in front');
is(json(chat('groq/x'))->{from}, 'block', 'a block behind');
is($block->last_request()->{key}, 'gsk-1', 'keys from the file of a variable');
is(json(chat('ollama/x'))->{from}, 'env', 'a provider without a key');
ok(!defined $env->last_request()->{headers}{authorization}, 'and none is sent');
is(chat('cohere/x')->{status}, 404, 'empty means unset');

is(json(chat('gpt-4o'))->{from}, 'env', 'again');
is($env->last_request()->{connection}, ($env->requests())[0]->{connection},
	'connections are kept');

ok($t->logged(qr/\[notice\].*provider "openai": 2 keys, http:/),
	'the start tells how many keys');
unlike($t->read_file('start.out') . join("\n", grep { /\[(?!debug)\w+\]/ }
	split /\n/, $t->read_file('error.log')), qr/sk-env|gsk-|sk-mistral/,
	'and not which');

$t->stop();

# what is dropped, with one warning each, and what refuses the start

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%
    llm_providers env;

    server {
        listen 127.0.0.1:8080;
        llm_client_key master;

        location / {
            %%LLM_PROXY%%
            proxy_pass https://$llm_upstream;
        }
    }
}

EOF

delete $ENV{$_} for grep { /^(OPENAI|MISTRAL|GROQ|OLLAMA)_/ } keys %ENV;

sub start {
	my ($keys, %env) = @_;
	return $t->test_config($conf, OPENAI_API_KEYS => $keys,
		OPENAI_API_BASE => 'http://127.0.0.1:1/v1', %env);
}

for my $case (
	['a,b', qr/2 keys/, 0, 'two'],
	[' a , b ', qr/2 keys/, 1, 'blanks'],
	['"a",\'b\'', qr/2 keys/, 1, 'quotes'],
	['"a,b"', qr/2 keys/, 1, 'quotes around all'],
	['a,,b,', qr/2 keys/, 1, 'empty ones'],
	['a,b,a', qr/2 keys/, 1, 'duplicates'],
	["a,b\n", qr/2 keys/, 0, 'a newline at the end'],
)
{
	my ($keys, $re, $warnings, $name) = @$case;
	my ($out, $ok) = start($keys);

	like($out, $re, $name);
	is(scalar(() = $out =~ /\[warn\]/g), $warnings, "$name, warnings");
}

my ($out, $ok) = start('a', OPENAI_API_KEY => 'a,b');
like($out, qr/2 keys/, 'duplicates in another variable');

for my $case (["a\nb", 'newline'], ['a b', 'blank'], ["a,b\tc", 'tab']) {
	my ($keys, $name) = @$case;
	($out, $ok) = start("sk-good,$keys");
	ok(!$ok && $out =~ /invalid character in key \d of "env:OPENAI_API_KEYS"/
		&& $out !~ /sk-good/, "$name inside a key");
}

($out, $ok) = start('', OPENAI_API_KEYS_FILE => '/nowhere/keys');
ok(!$ok && $out =~ m!"/nowhere/keys" failed!, 'a file that is not there');

###############################################################################
