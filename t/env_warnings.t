#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for variables of the environment that are set and cannot be served:
# each is named in one warning, none with its value.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;

###############################################################################

plan(tests => 55);

my $t = LLMTest->new();

my %base = (OPENAI_API_KEYS => 'sk-env-1',
	OPENAI_API_BASE => 'http://127.0.0.1:' . port(8081) . '/v1');

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%
    llm_providers env;

    server {
        listen 127.0.0.1:8080;
        llm_client_key env:LITELLM_MASTER_KEY;

        location / {
            %%LLM_PROXY%%
            proxy_pass https://$llm_upstream;
        }
    }
}

EOF

sub warnings_of {
	my (%env) = @_;
	my ($out, $ok) = $t->test_config($conf, LITELLM_MASTER_KEY => 'master-1',
		%base, %env);
	ok($ok, 'starts') or diag($out);
	unlike($out, qr/secret-value/, 'without the value');
	return grep { /\[warn\]/ } split /\n/, $out;
}

is(scalar(warnings_of()), 0, 'nothing to warn of');
is(scalar(warnings_of(DATABASE_URL => '', FOO_API_KEYS => '')), 0,
	'empty means unset');
is(scalar(warnings_of(MISTRAL_API_KEY => 'k', HF_TOKEN => 'k', map {
	$_ . '_API_BASE' => $base{OPENAI_API_BASE} } qw/ MISTRAL HUGGINGFACE /)),
	0, 'known ones');

for my $name (qw/ DATABASE_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	REDIS_HOST GOOGLE_APPLICATION_CREDENTIALS HTTPS_PROXY
	UNKNOWN_API_KEYS UNKNOWN_API_KEY UNKNOWN_API_KEYS_FILE /)
{
	my @warnings = warnings_of($name => 'secret-value');
	is(scalar(@warnings), 1, "one warning for $name");
	like($warnings[0], qr/"$name" is ignored: \w/, "$name is named");
}

for my $key ('sk-1234', 'super-secret-master-key') {
	my @warnings = warnings_of(LITELLM_MASTER_KEY => "mine,$key");
	is(scalar(@warnings), 1, "one warning for a published key");
	like($warnings[0], qr/key 2 of LITELLM_MASTER_KEY is an example/,
		'which is named by its number');
	unlike($warnings[0], qr/\Q$key\E/, 'and not shown');
}

###############################################################################
