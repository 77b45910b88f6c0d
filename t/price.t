#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for prices: what an answer has cost, in the log and in a header.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(http => <<'EOF', more => 'access_log %%TESTDIR%%/cost.log cost;');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1;
    }

    upstream eu {
        llm_provider mistral base=http://127.0.0.1:8081;
        llm_key sk-2;
    }

    llm_price gpt-4o          2.5  10 1.25;
    llm_price gpt-4o          99   99 99;
    llm_price gpt-4o*         0.5  1;
    llm_price gpt-4o-mini*    0.15 0.6 0.075;
    llm_price mistral/gpt-4o  5    20;

    llm_model alias openai/gpt-4o;

    log_format cost '$status|$llm_cost|$llm_total_tokens';

EOF

my $usage = '"usage":{"prompt_tokens":1000,"completion_tokens":100,'
	. '"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":400}';

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $what = $request->{body};
	my $headers = ['Content-Type' => 'application/json'];

	return { status => 400, json => { error => { message => 'no' } } }
		if $what =~ /"bad"/;
	return { headers => $headers, body => '{}' } if $what =~ /"nothing"/;
	return { headers => [@$headers, 'X-LiteLLM-Response-Cost', 7],
		body => "{$usage,\"cost\":1.25e-05}}" } if $what =~ /"told"/;
	return { headers => $headers, pieces => ["{$usage", 0.3, '}}'] }
		if $what =~ /"late"/;
	return { events => ['{"choices":[{}]}', "{\"choices\":[],$usage}}",
		'[DONE]'] } if $what =~ /"stream"/;
	return { headers => $headers, body => "{$usage}}" };
});

$t->run()->plan(24);

###############################################################################

my $n = 0;

sub logged {
	wait_for(sub { (() = $t->read_file('cost.log') =~ /\n/g) > $n });
	return (split /\n/, $t->read_file('cost.log'))[$n++];
}

sub cost {
	my ($name, $r, $log, $header) = @_;

	is(logged(), $log, $name);
	is($r->{headers}{'x-litellm-response-cost'}, $header, "$name, header");
}

cost('exact, the first', chat('gpt-4o'), '200|0.003|1100', '0.003');
cost('longest pattern', chat('gpt-4o-mini-1'), '200|0.00018|1100', '0.00018');
cost('pattern, cached as the others', chat('gpt-4o-x'), '200|0.0006|1100',
	'0.0006');
cost('as it is sent', chat('alias'), '200|0.003|1100', '0.003');
cost('of a provider', chat('eu/gpt-4o'), '200|0.007|1100', '0.007');
cost('nobody knows', chat('gpt-x'), '200|-|1100', undef);
cost('the provider says', chat('gpt-4o', text => 'told'), '200|0.0000125|1100',
	'0.0000125');
cost('in pieces', chat('gpt-4o', text => 'late'), '200|0.003|1100', undef);
cost('in a stream', chat('gpt-4o', stream => 1), '200|0.003|1100', undef);
cost('no usage', chat('gpt-4o', text => 'nothing'), '200|-|-', undef);
cost('an error', chat('gpt-4o', text => 'bad'), '400|-|-', undef);
cost('ours', chat('gpt-4o', key => 'wrong'), '401|-|-', undef);

###############################################################################
