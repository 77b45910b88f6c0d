#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the variables of what became of a request: verdicts, tokens, times;
# and for the shipped log format.

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

open my $fh, '<', "$LLMTest::ROOT/conf.d/llm.conf" or die $!;
my ($format) = join('', <$fh>) =~ /^(log_format.*?;)/ms;

$t->balancer(http => <<"EOF", server => <<'EOF', more => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-limited,sk-refused,sk-good;
    }

    upstream one {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-one max_conns=1;
        llm_queue 5s 10;
    }

    upstream ill {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_key sk-1,sk-2;
    }

    include $LLMTest::ROOT/conf.d/llm_prices.conf;

    $format

    log_format vars '\$uri|\$llm_verdicts|\$llm_input_tokens|'
                    '\$llm_output_tokens|\$llm_cached_tokens|'
                    '\$llm_reasoning_tokens|\$llm_total_tokens|'
                    '\$llm_ttft|\$llm_queue_time|\$request_time';

EOF

    llm_client_key master name=app;

    location = /elsewhere {
        access_log %%TESTDIR%%/vars.log vars;
        return 204;
    }

EOF
        access_log %%TESTDIR%%/vars.log vars;
        access_log %%TESTDIR%%/json.log llm_json;
EOF

my $usage = { prompt_tokens => 10, completion_tokens => 5, total_tokens => 15,
	prompt_tokens_details => { cached_tokens => 4 },
	completion_tokens_details => { reasoning_tokens => 2 } };

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $key = $request->{key};

	return { status => 429, json => {}, headers => ['Retry-After' => 1] }
		if $key eq 'sk-limited';
	return { status => 401, json => { error => { code => 'invalid_api_key' } } }
		if $key eq 'sk-refused';
	return { wait => 0.6, json => { usage => $usage } } if $key eq 'sk-one';
	return { events => ['a', 0.8, 'b'], wait => 0.3 }
		if $request->{body} =~ /stream/;
	return { headers => ['Content-Type' => 'application/json'],
		pieces => ['{"usage":{"total_tokens":3', 0.2], length => 100,
		end => 'close' } if $request->{body} =~ /"breaks"/;
	return { json => {} } if $request->{body} =~ /"nothing"/;
	return { json => { usage => $usage } };
});

LLMUpstream->start($t, 8082, sub { return { status => 500, json => {} } });

$t->run()->plan(22);

###############################################################################

my $n = 0;

sub logged {
	wait_for(sub { (() = $t->read_file('vars.log') =~ /\n/g) > $n });
	return [split /\|/, (split /\n/, $t->read_file('vars.log'))[$n++]];
}

sub json_log {
	return json((split /\n/, $t->read_file('json.log'))[-1]);
}

chat('gpt-4o', text => 'nothing');
my $log = logged();
is($log->[1], 'wait,finished,ok', 'verdicts');
is(join('|', @$log[2 .. 6]), '-|-|-|-|-', 'no tokens');
is($log->[8], '0.000', 'did not wait');

my $json = json_log();
ok($json, 'the log is JSON');
is($json->{verdicts}, 'wait,finished,ok', 'verdicts in JSON');
is($json->{total_tokens}, '', 'unknown in JSON');

chat('gpt-4o');
is(join('|', @{logged()}[1 .. 6]), 'ok|10|5|4|2|15', 'tokens');

wait_for(sub { ($json = json_log()) && $json->{total_tokens} });
is(join('|', @$json{qw/provider model key client input_tokens output_tokens
	cached_tokens reasoning_tokens total_tokens cost tries/}),
	'openai|gpt-4o|openai-3|app|10|5|4|2|15|0.00007|1', 'in JSON');
like($json->{ttft}, qr/^\d+\.\d{3}$/, 'time in JSON');

# both keys fail

chat('ill/x');
$log = logged();
is($log->[1], 'ill,ill', 'ill');
like($log->[7], qr/^\d/, "the provider's error has a first byte, too");

# an answer is judged by its head

chat('gpt-4o', text => 'breaks');
is(logged()->[1], 'ok', 'broke off');

# the first byte, and not the last one

chat('gpt-4o', stream => 1);
$log = logged();
ok($log->[7] >= 0.25 && $log->[7] < 0.9, 'first byte') or diag("@$log");
ok($log->[9] >= 1, 'and the last');

# who waits

my @s = map { chat('one/x', start => 1) } 1 .. 2;
http_end($_) for @s;

my @waits = sort { $a <=> $b } map { logged()->[8] } @s;
is($waits[0], '0.000', 'the first one did not wait');
ok($waits[1] > 0.4 && $waits[1] < 3, 'the other one did') or diag("@waits");

# who gives up waiting

@s = map { chat('one/x', start => 1) } 1 .. 2;
select undef, undef, undef, 0.3;
close $s[1];
$log = logged();
ok($log->[8] > 0.1, 'gave up') or diag("@$log");
is($log->[1], '-', 'no try');
http_end($s[0]);
logged();

# not ours, or not let in

get('/elsewhere');
is(join('|', @{logged()}[1 .. 8]), '-|-|-|-|-|-|-|-', 'not ours');

chat('gpt-4o', key => 'wrong');
is(join('|', @{logged()}[1 .. 8]), '-|-|-|-|-|-|-|-', 'not let in');

chat('unknown/x', key => 'master');
is(join('|', @{logged()}[1 .. 8]), '-|-|-|-|-|-|-|-', 'nowhere');

get('/v1/models');
is(join('|', @{logged()}[1 .. 8]), '-|-|-|-|-|-|-|-', 'our own answer');

###############################################################################
