#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for "llm_status prometheus", and for the alert rules.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;',
	http => <<'EOF', server => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-slow name=slow;
        llm_key sk-good name=good rpm=1000;
    }

EOF

    llm_client_key master 'name=app "1"';
    llm_metrics_key reader;

    location = /metrics {
        llm_status prometheus;
    }

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;

	return { status => 429, headers => ['Retry-After' => 60], json =>
		{ error => { message => 'slow', code => 'rate_limit_exceeded' } } }
		if $request->{key} eq 'sk-slow';

	my $usage = '{"usage":{"prompt_tokens":10,"completion_tokens":5}}';

	return { events => [0.15, $usage, 0.3, '[DONE]'] }
		if $request->{body} =~ /"stream":true/;

	return { body => $usage };
});

$t->run()->plan(25);

###############################################################################

my $text;

sub scrape { $text = get('/metrics', key => 'reader')->{body} }

sub value {
	my ($name, @labels) = @_;
	my @found = grep { my $line = $_;
		!grep { index($line, $_) < 0 } @labels } $text =~ /^\Q$name\E[{ ].*/mg;
	return join ' ', map { / (\S+)$/ } @found;
}

my $r = get('/metrics', key => undef);
is($r->{status}, 401, 'no key');
is(request('POST', '/metrics', key => 'reader', body => '')->{status}, 405,
	'only to be read');

$r = get('/metrics', key => 'reader');
is($r->{status}, 200, 'with a key');
is($r->{headers}{'content-type'}, 'text/plain; version=0.0.4; charset=utf-8',
	'type');

chat('gpt-4o') for 1 .. 3;
chat('gpt-4o', stream => 1);

wait_for(sub { scrape(); value('llm_key_requests_total', 'key="good"') == 4 });

is(value('llm_key_tries_total', 'key="good"', 'verdict="ok"'), 4, 'tries');
is(value('llm_key_tries_total', 'key="slow"', 'verdict="wait"'), 1, 'refused');
is(value('llm_key_usable'), '0 1', 'usable');
is(value('llm_key_state', 'key="slow"', 'state="cooling"'), 1, 'state');
ok(value('llm_key_cooldown_seconds', 'key="slow"') > 50, 'cooldown');
is(value('llm_key_tokens_total', 'key="good"', 'gen_ai_token_type="input"'),
	40, 'tokens of a key');
is(value('llm_upstream_tokens_total', 'gen_ai_token_type="output"',
	'gen_ai_provider_name="openai"'), 20, 'tokens of an upstream');
is(value('llm_key_remaining', 'what="rpm"'), 996, 'remaining');
is(value('llm_model_requests_total', 'gen_ai_request_model="gpt-4o"'), 4,
	'model');
is(value('llm_client_requests_total', 'client="app \\"1\\""'), 4, 'client');

my $first = 'gen_ai_server_time_to_first_token_seconds';
my $duration = 'gen_ai_client_operation_duration_seconds';

is(value("${first}_count"), 1, 'only a stream has a first token');
is(value("${first}_bucket", 'le="0.100"'), 0, 'not so early');
is(value("${first}_bucket", 'le="10.000"'), 1, 'but within');
is(value("${duration}_count"), 4, 'all have an end');
ok(value("${duration}_sum") > 0.4, 'which takes its time');
is(value("${duration}_bucket", 'le="+Inf"'), 4, 'infinity is all');

# many models

chat("model-$_") for 1 .. 70;
scrape();
my @models = $text =~ /^llm_model_requests_total/mg;
is(scalar(@models), 65, 'so many models, and others');
is(value('llm_model_requests_total', '="other"'), 7, 'which are counted');

SKIP: {
	skip 'no promtool', 2 unless `promtool --version 2>&1` =~ /version/;

	$t->write_file('metrics', $text);
	my $out = `promtool check metrics <$t->{_dir}/metrics 2>&1`;
	is("$?$out", '0', 'clean by promtool');

	$out = `cd $LLMTest::ROOT/t && promtool test rules alerts.yml 2>&1`;
	like("$?$out", qr/^0.*SUCCESS/s, 'alert rules') or diag($out);
}

unlike($text, qr/sk-|reader|master/, 'no key is shown');

###############################################################################
