#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for keys in the query: nginx logs request lines, and no key may be seen
# there, neither a good one nor a wrong one.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(server => 'llm_client_key sk-master-key-1;',
	http => <<'EOF');

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8081/v1beta/openai;
        llm_key AIza-1,AIza-2;
    }

    log_format full '$request|$request_uri|$args|$arg_key|$status';

EOF

my $conf = $t->read_file('nginx.conf');
$conf =~ s/(server_name localhost;)/$1 access_log $t->{_dir}\/full.log full;/;
$t->write_file('nginx.conf', $conf);

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	return $request->{key} eq 'AIza-1' ? { status => 429, json => {} }
		: { json => {} };
});

$t->run()->plan(8);

###############################################################################

my $uri = '/v1beta/models/gemini-2.0-flash:generateContent';
my $master = 'sk-master-key-1';
(my $encoded = $master) =~ s/(.)/sprintf '%%%02X', ord $1/e;

is(post("$uri?alt=sse&key=$_&a=b", '{"contents":[]}', key => '')->{status},
	200, 'key in the query') for $master, $encoded;
is(post("$uri?key=wrong-secret", '{"contents":[]}', key => '')->{status},
	401, 'wrong key');

is($up->last_request()->{args}, 'alt=sse&a=b', 'other arguments pass');

ok($t->logged(qr/key "gemini-1" of upstream "gemini" is out.*key=\*+/),
	'masked');

my $logs = join '', grep { !/ \[debug\] / } split /^/,
	$t->read_file('error.log') . $t->read_file('full.log');

unlike($logs, qr/\Q$master\E/, 'not in a log');
unlike($logs, qr/\Q$encoded\E/, 'not encoded either');
unlike($logs, qr/wrong-secret/, 'nor a wrong one');

###############################################################################
