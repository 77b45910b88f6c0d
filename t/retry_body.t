#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for bodies are sent again intact, from memory and from a file, under their
# own names.

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

my $t = LLMTest->new()->balancer(http => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key file:%%TESTDIR%%/keys;
        llm_key sk-good backup;
        keepalive 4;
    }

EOF

$t->write_file('keys', join ',', map { "sk-$_" } 1 .. 9);

my $up = LLMUpstream->start($t, 8081, sub {
	return $_[0]->{key} eq 'sk-good' ? { json => {} } : { status => 429,
		headers => ['Retry-After' => '1'], json => {} };
});

$t->run()->plan(30);

###############################################################################

my $piece = join '', map { chr(32 + $_ % 90) } 1 .. 1000;
$piece =~ s/["\\]/x/g;

for my $size (1, 3000, 12000) {
	for my $model ('gpt-4o', 'openai/gpt-4o') {
		my $body = '{"messages":[{"content":"' . $piece x $size
			. '"}],"model":"' . $model . '"}';

		$up->clear();

		ok(wait_for(sub { !json(get('/health'))->{unhealthy_count} }),
			'all are back');

		is(post('/v1/chat/completions', $body)->{status}, 200,
			"$size kB as $model");

		my @requests = $up->requests();
		is(scalar @requests, 10, 'ten tries');

		$body =~ s!openai/!!;
		my $md5 = Digest::MD5::md5_hex($body);
		is(scalar(grep { $_->{md5} eq $md5 } @requests), 10, 'all alike');
		is(scalar(grep { $_->{headers}{'content-length'} == length $body }
			@requests), 10, 'and their lengths');
	}
}

###############################################################################
