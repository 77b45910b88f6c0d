#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what comes back: the provider's answer less what is not the client's
# business.

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

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-secret-key-1;
    }

EOF

    llm_client_key master;

    location /late/ {
        rewrite ^/late(/.*) $1 break;
        proxy_pass http://$llm_upstream;
    }

    location = /inside {
        return 200 "inside";
    }

EOF

my $key = 'sk-secret-key-1';

my %answers = (
	plain => { json => { choices => [1] }, headers => [
		'Set-Cookie' => 'a=b', 'Set-Cookie' => 'c=d',
		'OpenAI-Organization' => 'org-1', 'OpenAI-Project' => 'proj-1',
		'anthropic-organization-id' => 'x', 'x-request-id' => 'req-1',
		'openai-processing-ms' => '12', 'X-Accel-Buffering' => 'no',
		'x-ratelimit-remaining-requests' => '9',
	] },
	accel => { body => 'from provider', headers => [
		'X-Accel-Redirect' => '/inside', 'X-Accel-Limit-Rate' => '1',
		'X-Accel-Charset' => 'koi8-r', 'Content-Type' => 'text/plain' ] },
	echo => { json => { said => "Bearer $key and $key$key" },
		headers => ['x-echo' => "key $key"] },
	error => { status => 400, json => { error => {
		message => "no $key here" } } },
	teapot => { status => 418, json => { error => { message => 'tea' } } },
);

# the key cut at every place, and everything else kept

$answers{"cut$_"} = { pieces => ['{"a":"' . substr($key, 0, $_), 0.05,
	substr($key, $_) . '","b":"sk-secret-other"}'] } for 1 .. length($key) - 1;

my $openai = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($name) = $request->{body} =~ /"user":"(\w+)"/;
	return $answers{$name};
});

$t->run()->plan(28);

###############################################################################

sub ask {
	my ($name, $prefix) = @_;
	return post(($prefix || '') . '/v1/chat/completions',
		"{\"user\":\"$name\",\"model\":\"gpt-4o\"}");
}

my $r = ask('plain');

is($r->{status}, 200, 'answer');
is($r->{body}, '{"choices":[1]}', 'body');
is($r->{headers}{'x-request-id'}, 'req-1', 'request id is kept');
is($r->{headers}{'openai-processing-ms'}, '12', 'timing is kept');
is($r->{headers}{'x-ratelimit-remaining-requests'}, '9', 'limits are kept');

for my $name (qw/set-cookie openai-organization openai-project
	anthropic-organization-id x-accel-buffering/)
{
	ok(!defined $r->{headers}{$name}, "no $name");
}

for my $prefix ('', '/late') {
	$r = ask('accel', $prefix);
	is($r->{body}, 'from provider', "$prefix no redirect");
	is($r->{headers}{'content-type'}, 'text/plain', "$prefix no charset");
}

$r = ask('echo');
unlike($r->{head} . $r->{body}, qr/secret/, 'no key in the answer');
is($r->{headers}{'x-echo'}, 'key ' . '*' x 15, 'masked in a header');
is(json($r)->{said}, 'Bearer ' . '*' x 15 . ' and ' . '*' x 30,
	'masked in the body');

$r = ask('error');
is($r->{status}, 400, 'a wrong request');
is(json($r)->{error}{message}, 'no ' . '*' x 15 . ' here', 'masked there too');

$r = ask('teapot');
is($r->{status}, 418, 'status as it was');
is(json($r)->{error}{message}, 'tea', 'and its body');

# cut in the middle at least the second half is gone

for my $cut (1, 4, 7, 8, 10, 12, 14) {
	$r = ask("cut$cut");
	my $shown = $cut < 8 ? $cut : 0;

	is($r->{body}, '{"a":"' . substr($key, 0, $shown)
		. '*' x (length($key) - $shown) . '","b":"sk-secret-other"}',
		"cut at $cut");
}

###############################################################################
