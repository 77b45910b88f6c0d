#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for endpoints of our own: none of them asks a provider.

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
        llm_key sk-openai-1,sk-openai-2;
    }

    upstream gemini {
        llm_provider gemini base=http://127.0.0.1:8081;
        llm_key sk-gemini name=only;
    }

    llm_model fast     openai/gpt-4o-mini;
    llm_model gpt-4o   gemini/gemini-2.5-pro;
    llm_model "q\"x"   openai;
    llm_model any*     openai;

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	return $_[0]->{key} eq 'sk-openai-2' ? { status => 429, headers =>
		['Retry-After' => '30'], json => {} } : { json => { real => 1 } };
});

$t->run()->plan(43);

###############################################################################

my $r = get('/v1/models');
my $j = json($r);

is($r->{status}, 200, 'models');
is($j->{object}, 'list', 'a list');

my %ids = map { $_->{id} => $_ } @{$j->{data}};

is(scalar keys %ids, @{$j->{data}}, 'each once');
is($ids{fast}{owned_by}, 'openai', 'a rule');
is($ids{'gpt-4o'}{owned_by}, 'gemini', 'a rule in the place of a known name');
is($ids{'gpt-4o-mini'}{owned_by}, 'openai', 'a known name');
is($ids{'gemini-2.5-flash'}{owned_by}, 'gemini', 'another');
ok($ids{'q"x'}, 'a name with a quote');
ok(!grep({ /\*|claude/ } keys %ids), 'no patterns, no others');
is($ids{fast}{object}, 'model', "OpenAI's fields");
like($ids{fast}{created}, qr/^\d+$/, 'a date');
is($ids{fast}{type}, 'model', "Anthropic's fields");
ok(defined $j->{first_id} && defined $j->{last_id} && !$j->{has_more},
	'its pages');

is(get($_)->{body}, $r->{body}, $_)
	for qw!/models /v1/models/ /v1/v1/models //v1/models!;

# what is listed can be asked for

is(scalar(grep { chat($_)->{status} != 200 } keys %ids), 0, 'all work');

is(json(get('/openai/v1/models'))->{real}, 1, 'a prefix passes through');
is(json(get('/v1/models/gpt-4.1'))->{real}, 1, 'so does one model');
is($up->last_request()->{path}, '/v1/models/gpt-4.1', 'by its path');
is(json(get('/v1beta/models'))->{real}, 1, "and Gemini's list");

for my $path (qw!/v1/model/info /model/info /v1/v1/model/info
	//v1/model/info!)
{
	$j = json(get($path));
	my ($e) = grep { $_->{model_name} eq 'fast' } @{$j->{data}};
	is_deeply($e, { model_name => 'fast', litellm_params =>
		{ model => 'openai/gpt-4o-mini' }, model_info => {} }, $path);
}

is(get('/v1/models', key => undef)->{status}, 401, 'models need a key');
is(get('/v1/model/info', key => undef)->{status}, 401, 'model info, too');
is(get('/health', key => undef)->{status}, 401, 'health, too');

my $live = get('/health/liveliness', key => undef);
is($live->{status}, 200, 'liveliness needs none');
is($live->{body}, '"I\'m alive!"', "LiteLLM's words");
is(get('/health/liveness', key => undef)->{status}, 200, 'other spelling');

$j = json(get('/health/readiness', key => undef));
is($j->{status}, 'connected', 'readiness');

is(post('/v1/models', '{}')->{status}, 405, 'not by POST');
is(request('HEAD', '/v1/models', key => 'master')->{status}, 200, 'by HEAD');

# the state of each key

chat('gpt-4.1') for 1 .. 2;
$up->clear();

$j = json(get('/health'));
is($j->{healthy_count}, 2, 'healthy');
is($j->{unhealthy_count}, 1, 'unhealthy');

my ($bad) = @{$j->{unhealthy_endpoints}};
is($bad->{key}, 'openai-2', 'which');
is($bad->{state}, 'cooling', 'what');
ok($bad->{retry_after} > 20 && $bad->{retry_after} <= 30, 'how long');
like($bad->{fingerprint}, qr/^[0-9a-f]{12}$/, 'a fingerprint');

is(scalar $up->requests(), 0, 'nobody was asked');
unlike(get('/health')->{body}, qr/sk-/, 'no key is shown');

###############################################################################
