#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for llm-config: LiteLLM's config.yaml as directives, and what it warns
# of and refuses.

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
my $tool = "$LLMTest::ROOT/objs/llm-config";

# output, messages without the name of the file, status

sub convert {
	my ($yaml, %env) = @_;

	local %ENV = (%ENV, %env);

	$t->write_file('config.yaml', $yaml);

	my $out = `$tool $t->{_dir}/config.yaml 2>$t->{_dir}/messages`;
	my $status = $? >> 8;

	return ($out, $t->read_file('messages') =~ s!^\Q$t->{_dir}\E/!!mgr, $status);
}

# entries of a name each: "name model key=value ..."

sub list {
	return "model_list:\n" . join '', map {
		my ($name, $model, @rest) = split / /;
		"- model_name: '$name'\n  litellm_params:\n    model: '$model'\n"
			. join '', map { s/=/: /; "    $_\n" } @rest;
	} @_;
}

$t->write_file('base', " http://a.example/v1 \r\n");

my %keys = (K1 => 'sk-1', K2 => 'sk-2', K3 => 'sk-3', M => 'master-key');
my $k1 = 'api_key=os.environ/K1';
my $k2 = 'api_key=os.environ/K2';
my $k3 = 'api_key=os.environ/K3';

# name, file, [lines of the output], [warnings], environment; a line that
# begins with "!" is not there

my @cases = (

['one entry', list("gpt-4o openai/gpt-4o $k1"),
	['upstream openai {', 'llm_provider openai;', 'llm_key env:K1;',
	'keepalive 64;', 'llm_model gpt-4o openai/gpt-4o;'], []],

['keys of one name', list("m openai/gpt-4o $k1 weight=2 rpm=10 tpm=1000",
	"m openai/gpt-4o $k2 max_parallel_requests=3"),
	['llm_key env:K1 weight=2 rpm=10 tpm=1000;', 'llm_key env:K2 max_conns=3;',
	'llm_model m openai/gpt-4o;'], []],

['weights in parts', list("m openai/a $k1 weight=0.9",
	"m openai/a $k2 weight=0.6", "m openai/a $k3 weight=0"),
	['llm_key env:K1 weight=3;', 'llm_key env:K2 weight=2;',
	'llm_key env:K3 down;'], []],

['rpm as a weight', list("m openai/a $k1 rpm=300", "m openai/a $k2 rpm=100"),
	['llm_key env:K1 weight=3 rpm=300;', 'llm_key env:K2 rpm=100;'], []],

['rpm is none elsewhere', list("m openai/a $k1 rpm=300",
	"m openai/a $k2 rpm=100")
	. "router_settings: {routing_strategy: least-busy}\n",
	['llm_balance least_conn;', 'llm_key env:K1 rpm=300;'], []],

['keys for models of their own', list("a openai/a $k1", "b openai/b $k1",
	"b openai/b $k2"),
	['llm_key env:K1 models=a,b;', 'llm_key env:K2 models=b;',
	'llm_model a openai/a;', 'llm_model b openai/b;'], []],

['a key with two settings', list("a openai/a $k1 rpm=5",
	"b openai/b $k1 rpm=7"),
	['llm_key env:K1 rpm=5;', 'upstream openai-2 {', 'llm_key env:K1 rpm=7;',
	'llm_model b openai-2/b;'], []],

['a limit for two models', list("a openai/a $k1 rpm=5",
	"b openai/b $k1 rpm=5"),
	['llm_key env:K1 rpm=5;', '!upstream openai-2 {'],
	['7: warning: "rpm" and "tpm" limit a key, not each of its models']],

['providers of one name', list("m openai/a $k1", "m mistral/b $k2"),
	['llm_model m openai/a mistral/b;'],
	['6: warning: "m" is at several providers, base URLs or models, which are '
	. 'asked one behind the other and not in turn']],

['the heaviest first', list("m openai/a $k1 weight=1",
	"m mistral/b $k2 weight=9"),
	['llm_model m mistral/b openai/a;'],
	['2: warning: "m" is at several providers, base URLs or models, which are '
	. 'asked one behind the other, the heaviest first, and not in turn']],

['order', list("m openai/a $k1 order=5", "m mistral/b $k2 order=2",
	"m groq/c $k3"),
	['llm_model m mistral/b openai/a groq/c;'], []],

['order in one provider', list("m openai/a $k1 order=2",
	"m openai/a $k2 order=1"),
	['llm_model m openai/a openai-2/a;'], []],

['base URLs', list("m azure/d $k1 api_base=https://east.example.net/ order=1",
	"m azure/d $k2 api_base=https://west.example.net order=2"),
	['upstream azure-east {', 'llm_provider azure base=https://east.example.net;',
	'upstream azure-west {', 'llm_model m azure-east/d azure-west/d;'], []],

['addresses', list(
	"m openai/a $k1 api_base=http://10.1.2.3:8000/v1 order=1",
	"m openai/a $k2 api_base=http://10.1.2.4:8000/v1 order=2"),
	['upstream openai-10-1-2-3-8000 {',
	'llm_provider openai base=http://10.1.2.3:8000/v1;'], []],

['the usual base URL', list("m openai/a $k1 api_base=https://api.openai.com/v1",
	"m openai/a $k2"), ['llm_provider openai;', 'llm_model m openai/a;'], []],

['a base URL of the environment', list("m openai/a $k1",
	"m openai/a $k2 api_base=os.environ/BASE"),
	['llm_provider openai base=http://a.example/v1;', 'llm_model m openai/a;'],
	[], OPENAI_API_BASE => 'http://a.example/v1', BASE => 'http://a.example/v1/'],

['a base URL in quotes', list("m openai/a $k1"),
	['llm_provider openai base=http://a.example/v1;'], [],
	OPENAI_API_BASE => qq{ "http://a.example/v1" }],

['a base URL in a file', list("m openai/a $k1",
	"m openai/a $k2 api_base=os.environ/BASE"),
	['llm_provider openai base=http://a.example/v1;', 'llm_model m openai/a;'],
	[], OPENAI_API_BASE => '', OPENAI_API_BASE_FILE => $t->testdir() . '/base',
	BASE_FILE => $t->testdir() . '/base'],

['a base URL of quotes only', list("m openai/a $k1"),
	['llm_provider openai;'], [], OPENAI_API_BASE => qq{ '' }],

['without a key', list('m ollama/llama3 api_base=http://10.1.2.3:11434'),
	['llm_provider ollama base=http://10.1.2.3:11434 auth=none;',
	'llm_model m ollama/llama3;'], []],

['keys of the environment', list('m mistral/a', 'g gemini/b'),
	['llm_key env:MISTRAL_API_KEYS;', 'llm_key env:MISTRAL_API_KEY;',
	'llm_key env:GEMINI_API_KEY;'], [], MISTRAL_API_KEYS => 'a,b',
	MISTRAL_API_KEY => 'c', GEMINI_API_KEY => 'd'],

['a known name', list("m gpt-4o $k1", "x b/c $k2 custom_llm_provider=groq"),
	['llm_model m openai/gpt-4o;', 'llm_model x groq/b/c;'], []],

['wildcards', list("openai/* openai/* $k1", "claude-* anthropic/claude-* $k2",
	"mine-* mistral/small $k3"),
	['llm_model openai/* openai;', 'llm_model claude-* anthropic;',
	'llm_model mine-* mistral/small;', 'llm_key env:K1;'], []],

['a wildcard for all', list("* openai/* $k1", "a openai/a $k2"),
	['llm_model * openai;', 'llm_key env:K1;', 'llm_key env:K2 models=a;'], []],

['all providers', list('* *'),
	['upstream openai {', 'llm_key env:OPENAI_API_KEY;', 'upstream mistral {',
	'!llm_model'], [], OPENAI_API_KEY => 'a', MISTRAL_API_KEYS => 'b'],

['a wildcard that renames', list("a openai/a $k1", "my-* openai/gpt-* $k1"),
	['!my-'], ['6: warning: "my-*" is left out: it cannot be rewritten to '
	. '"gpt-*"']],

['not served', list("a openai/a $k1", 'b bedrock/x', 'c nobody-knows',
	'd hosted_vllm/x'),
	['!bedrock'],
	['6: warning: "b" is left out: provider "bedrock" is not served',
	'9: warning: "c" is left out: its provider is not known',
	'12: warning: "d" is left out: it has no "api_base"']],

['names', list("default openai/a $k1", "~x(.*) openai/b $k1")
	. "- {model_name: 'a b;{\$x}', litellm_params: {model: 'openai/c \"d\\', "
	. "api_key: os.environ/K1}}\n",
	['llm_model "~^default$" openai/a;', 'llm_model "~^\\\\~x\\\\(\\\\..*\\\\)$"',
	'llm_model "a b;{$x}" "openai/c \\"d\\\\";'], []],

['a key written out', "model_list:\n- model_name: m\n  litellm_params:\n"
	. "    {model: openai/a, api_key: \"a{b\$c;\${d}\\\"e\\\\f'g#\"}\n",
	['llm_key "a{b$c;${d}\\"e\\\\f\'g#";'], []],

['an anchor', "x: &base\n  model: openai/a\n  api_key: os.environ/K1\n"
	. "  rpm: 5\nmodel_list:\n- model_name: m\n  litellm_params:\n"
	. "    <<: *base\n    rpm: 7\n- {model_name: n, litellm_params: *base}\n",
	['llm_key env:K1 rpm=7;', 'llm_model m openai/a;', 'llm_key env:K1 rpm=5;'],
	['1: warning: "x" has no counterpart']],

['a key twice in one line', "model_list: [{model_name: m, model_name: n, "
	. "litellm_params: {model: openai/a, api_key: x}}]\n",
	['llm_model n openai/a;'],
	['1: warning: "model_name" is there twice, the last one counts']],

['a key twice', "model_list: []\n" . list("a openai/a $k1"),
	['llm_model a openai/a;'],
	['2: warning: "model_list" is there twice, the last one counts']],

['fallbacks', list("a openai/a $k1", "b mistral/b $k2", "c groq/c $k3",
	"openrouter/* openrouter/* $k3")
	. "router_settings:\n  fallbacks:\n  - a: [b, openrouter/x/y]\n"
	. "  - openrouter/z/z: [a]\n  - b: c\n  - q: [a]\n  - c: [w]\n",
	['llm_model a openai/a mistral/b groq/c openrouter/x/y;',
	'llm_model b mistral/b groq/c;', 'llm_model c groq/c;',
	'llm_model openrouter/* openrouter;',
	'llm_model openrouter/z/z openrouter/z/z openai/a mistral/b groq/c '
	. 'openrouter/x/y;'],
	['23: warning: fallbacks of "q" are left out: it is no "model_name"',
	'24: warning: fallback "w" is left out: it is no "model_name"']],

['fallbacks of all', list("a openai/a $k1", "b mistral/b $k2",
	"c groq/c $k3") . "litellm_settings:\n  default_fallbacks: [b]\n"
	. "  fallbacks: [{a: [{model: c, temperature: 1}]}]\n",
	['llm_model a openai/a groq/c;', 'llm_model b mistral/b;',
	'llm_model c groq/c mistral/b;', 'llm_model default mistral/b;'],
	['16: warning: parameters of a fallback have no counterpart']],

['aliases', list("a openai/a $k1", "b mistral/b $k2", "groq/* groq/* $k3")
	. "router_settings:\n  model_group_alias:\n    x: a\n"
	. "    y: {model: groq/l, hidden: true}\n    b: a\n    z: nobody\n"
	. "  fallbacks: [{a: [groq/q]}]\n",
	['llm_model x openai/a groq/q;', 'llm_model y groq/l;',
	'llm_model b openai/a groq/q;'],
	['17: warning: "hidden" has no counterpart',
	'18: warning: alias "b" takes the place of the "model_name"',
	'19: warning: alias "z" is left out: "nobody" is no "model_name"']],

['retries', list("a openai/a $k1") . "litellm_settings: {num_retries: 3}\n"
	. "router_settings: {num_retries: 0}\n",
	['proxy_next_upstream_tries 1;'], []],

['retries with fallbacks', list("a openai/a $k1", "b mistral/b $k2")
	. "router_settings:\n  num_retries: 2\n  fallbacks: [{a: [b]}]\n",
	['!proxy_next_upstream'],
	['11: warning: "num_retries" has no counterpart where there are fallbacks: '
	. 'each key is tried once']],

(map { ["strategy $_->[0]", list("a openai/a $k1")
	. "router_settings: {routing_strategy: $_->[0]}\n",
	["llm_balance $_->[1];"], $_->[2] ? [$_->[2]] : []] }
	['simple-shuffle', 'round_robin'], ['least-busy', 'least_conn'],
	['usage-based-routing', 'headroom'],
	['usage-based-routing-v2', 'headroom'],
	['latency-based-routing', 'round_robin', '6: warning: "routing_strategy" '
	. '"latency-based-routing" has no counterpart, keys are used in turn']),

['policies of the environment', list("a openai/a $k1", "b mistral/b $k2"),
	["llm_provider openai;\n    llm_balance headroom;\n    llm_queue 15s 64;",
	"llm_provider mistral;\n    llm_balance headroom;\n    llm_queue 15s 64;"],
	[], LLM_BALANCE => 'headroom', LLM_QUEUE => '15s,64'],

['policies of both', list("a openai/a $k1")
	. "router_settings: {routing_strategy: least-busy}\n",
	['llm_balance least_conn;', '!llm_queue', '!headroom'], [],
	LLM_BALANCE => 'headroom', LLM_QUEUE => 'off'],

['a master key', list("a openai/a $k1")
	. "general_settings: {master_key: os.environ/M}\n",
	['llm_client_key env:M;'], []],

['a master key written out', list("a openai/a $k1")
	. "general_settings: {master_key: sk-1234}\n",
	['llm_client_key sk-1234;'], ['6: warning: "master_key" is the one of '
	. 'LiteLLM\'s documentation']],

['variables', list('a openai/a', 'b mistral/a api_key=os.environ/OWN')
	. "environment_variables: {OPENAI_API_KEY: sk-in-file, OWN: sk-own}\n",
	['llm_key sk-in-file;', 'llm_key sk-own;'], []],

['variables of no use', list("a openai/a $k1")
	. "environment_variables: {LITELLM_MASTER_KEY: sk-own, X: 'y', Z: null}\n",
	['llm_client_key sk-own;'],
	['6: warning: "X" of "environment_variables" has no counterpart']],

['credentials', list('a azure/a litellm_credential_name=east',
	"b azure/b litellm_credential_name=east $k2")
	. "credential_list:\n- credential_name: east\n  credential_values:\n"
	. "    api_key: os.environ/K1\n    api_base: https://east.example.net\n",
	['llm_provider azure base=https://east.example.net;',
	'llm_key env:K1 models=a;', 'llm_key env:K2 models=b;'], []],

['no counterpart', list("a openai/a $k1 temperature=0.5 timeout=9",
	"b openai/a $k1 temperature=0 max_tokens=0 timeout=7")
	. "  model_info: {id: x}\ninclude: [other.yaml]\nrouter_settings:\n"
	. "  cooldown_time: 30\n  timeout: 30\n  allowed_fails: 3\n"
	. "  retry_policy: {}\n  enable_pre_call_checks: true\n"
	. "litellm_settings:\n  drop_params: true\n  cache: false\n"
	. "  request_timeout: 600\n  callbacks: [prometheus]\n  json_logs: true\n"
	. "general_settings:\n  database_url: os.environ/DATABASE_URL\n",
	['!timeout'],
	['6: warning: "temperature" of "litellm_params" has no counterpart',
	'7: warning: "timeout" of "litellm_params" has no counterpart '
	. '(also in line 14)',
	'15: warning: "model_info" of "model_list" has no counterpart',
	'16: warning: "include" has no counterpart',
	'18: warning: "cooldown_time" has no counterpart: a key is out as long as '
	. 'its provider says, or for 5s',
	'19: warning: a time-out has no counterpart at this level, as '
	. 'llm_proxy.conf sets proxy_read_timeout in the location '
	. '(also in line 26)',
	'20: warning: "allowed_fails" of "router_settings" has no counterpart',
	'24: warning: "drop_params" has no counterpart: requests are passed as '
	. 'they come',
	'27: warning: "callbacks" of "litellm_settings" has no counterpart',
	'30: warning: "database_url" of "general_settings" has no counterpart']],
);

# name, file, message

my @errors = (

['no YAML', "model_list:\n  - a: [b\n  c: d\n",
	qr/^config.yaml:3:4: \w[^\n]*\n$/],
['a tab', "model_list:\n\t- a\n", qr/^config.yaml:2:1: \w[^\n]*\n$/],
['no UTF-8', "model_list:\n- \xff\n", qr/^config.yaml:2:3: \w[^\n]*\n$/],
['an alias without an anchor', "a: *b\n",
	qr/^config.yaml:1:4: unknown alias "b"$/],
['an alias in itself', "a: &b [*b]\n", qr/^config.yaml:1:8: unknown alias "b"$/],
['a merge of a word', "a:\n  <<: b\n", qr/^config.yaml:2:7: "<<" expects/],
['two documents', list('a openai/b') . "---\na: b\n",
	qr/^config.yaml:5:1: a second document$/],
['depth', '[' x 100, qr/^config.yaml:1:66: nested too deeply$/],
['an empty file', '', qr/^config.yaml:1:1: "model_list" is missing$/,],
['no list', "a: b\n", qr/^config.yaml:1:1: "model_list" is missing$/],
['an empty list', "model_list: []\n", qr/^config.yaml:1:13: .* no entries$/],
['nothing served', list('a bedrock/b'), qr/^config.yaml:2: warning: .*
config.yaml:2:1: no entry of "model_list" can be served$/],
['no name', "model_list:\n- litellm_params: {}\n",
	qr/^config.yaml:2:3: "model_name" is missing$/],
['no params', "model_list:\n- model_name: a\n",
	qr/^config.yaml:2:3: "litellm_params" is missing$/],
['no model', "model_list:\n- {model_name: a, litellm_params: {rpm: 1}}\n",
	qr/^config.yaml:2:35: "model" is missing$/],
['no number', list("a openai/b $k1 rpm=many"),
	qr/^config.yaml:6:10: "rpm" is no number from 0$/],
['no scheme', list("a openai/b $k1 api_base=example.com"),
	qr!^config.yaml:6:15: "api_base" does not begin with "http://" or "https://"$!],
['no host', list("a openai/b $k1 api_base=http://"),
	qr!^config.yaml:6:15: "api_base" has no host$!],
['credentials in a base URL', list("a openai/b api_base=http://u:pw\@h/"),
	qr!^config.yaml:5:15: "api_base" has an invalid character$!],
['a base URL that is not set', list("a openai/b api_base=os.environ/NONE"),
	qr/^config.yaml:5:15: NONE is not set$/],
['a newline in a key', list('a openai/b api_key="sk-secret\nx"'),
	qr/^config.yaml:5:14: "api_key" has a character that no key has$/],
['a comma in a key', list('a openai/b api_key=sk-secret,pw'),
	qr/^config.yaml:5:14: "api_key" has a comma, which would make two keys of it$/],
['quotes in a key', list(q{a openai/b api_key='"sk-secret"'}),
	qr/^config.yaml:5:14: "api_key" has quotes of its own around it$/],
['a source as a key', list('a openai/b api_key=file:sk-secret'),
	qr/^config.yaml:5:14: "api_key" begins with "file:", which is no key here$/],
['a comma in a master key', list("a openai/a $k1")
	. "general_settings: {master_key: 'sk-secret,pw'}\n",
	qr/^config.yaml:6:32: "master_key" has a comma, which would make/],
['a newline in a master key', list("a openai/a $k1")
	. "general_settings: {master_key: \"sk-secret\\n\"}\n",
	qr/^config.yaml:6:32: "master_key" has a character that no key has$/],
['an empty master key', list("a openai/a $k1")
	. "general_settings: {master_key: ''}\n",
	qr/^config.yaml:6:32: "master_key" is empty$/],
['a newline in a name', "model_list:\n- {model_name: \"a\\nb\", litellm_params: "
	. "{model: openai/a, api_key: x}}\n",
	qr/^config.yaml:2:16: a control character$/],
['no credentials', list('a openai/a litellm_credential_name=east'),
	qr/^config.yaml:5:30: no "credential_name" "east" in "credential_list"$/],
['fallbacks', list("a openai/a $k1") . "router_settings: {fallbacks: a}\n",
	qr/^config.yaml:6:30: "fallbacks" is no list$/],
);

plan(tests => 5 * @cases + 4 * @errors + 29);

###############################################################################

for my $case (@cases) {
	my ($name, $yaml, $lines, $warnings, %env) = @$case;

	%env = (%keys, %env);

	my ($out, $messages, $status) = convert($yaml, %env);

	is($status, 0, $name);

	my @missing = grep { /^!(.*)/ ? index($out, $1) >= 0
		: $out !~ /^ *\Q$_\E/m } @$lines;

	is(join("\n", @missing), '', "$name, output") or diag($out);
	is($messages, join('', map { "config.yaml:$_\n" } @$warnings),
		"$name, warnings");

	$t->write_file('llm.conf', $out);
	$t->balancer(http => "include $t->{_dir}/llm.conf;",
		server => $out =~ /^llm_client_key/m ? '' : undef);

	my ($said, $ok) = $t->test_config(undef, %env);
	ok($ok, "$name, nginx -t") or diag("$out\n$said");

	unlike($messages, qr/sk-(own|in-file)|a\{b/, "$name, no keys");
}

for my $case (@errors) {
	my ($name, $yaml, $re) = @$case;
	my ($out, $messages, $status) = convert($yaml, %keys);

	is($status, 1, $name);
	is($out, '', "$name, nothing else");
	like($messages, $re, "$name, message");
	unlike($messages, qr/sk-secret|pw/, "$name, no keys");
}

like(`$tool $t->{_dir}/none.yaml 2>&1`, qr/^\S+none.yaml: No such file[^\n]*\n$/,
	'no file');
like(`$tool $t->{_dir} 2>&1`, qr/^\S+: Is a directory\n$/, 'a directory');
is($? >> 8, 1, 'a directory, status');
like(`$tool 2>&1`, qr/^usage: llm-config CONFIG.yaml\n$/, 'no argument');

my ($out, $messages) = convert(list("a openai/a $k1", 'b mistral/b'));
is($messages, "config.yaml:5: warning: K1 is not set\n"
	. "config.yaml:6: warning: \"b\" has no \"api_key\", and MISTRAL_API_KEY is "
	. "not set\n", 'keys that are not set');
like($out, qr/llm_key env:K1;.*llm_key env:MISTRAL_API_KEY;/s,
	'keys that are not set, output');

is((convert(list("a openai/a $k1"), %keys,
	OPENAI_API_BASE_FILE => "$t->{_dir}/none"))[1], "config.yaml:2:15: "
	. "OPENAI_API_BASE_FILE: \"$t->{_dir}/none\": No such file or directory\n",
	'a base URL in a file that is not there');

like((convert(list("a openai/a $k1"), %keys, LLM_BALANCE => 'best'))[1],
	qr/^config.yaml:1:1: invalid policy "best" in LLM_BALANCE$/, 'no policy');
like((convert(list("a openai/a $k1"), %keys, LLM_QUEUE => $_))[1],
	qr/^config.yaml:1:1: invalid "$_" in LLM_QUEUE, .*expected$/, "no queue $_")
	for ('15s', '15s,0', '15s 64;,1');

###############################################################################

# requests, with the example of the README

open my $fh, '<', "$LLMTest::ROOT/README.md" or die $!;
my ($example) = join('', <$fh>) =~ /^```yaml\n(model_list:.*?)^```/ms;

%ENV = (%ENV, %keys, OPENAI_KEY_1 => 'sk-1', OPENAI_KEY_2 => 'sk-2',
	MISTRAL_API_KEY => 'sk-m', LITELLM_MASTER_KEY => 'master-key',
	OPENAI_API_BASE => 'http://127.0.0.1:' . port(8081) . '/v1',
	MISTRAL_API_BASE => 'http://127.0.0.1:' . port(8082) . '/v1');

my $openai = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;

	return LLMUpstream::refuses($request, keys => [qw/sk-1 sk-2/])
		|| ($request->{body} =~ /"limited"/
			? { status => 429, headers => ['Retry-After' => 60], json => {} }
			: { json => { from => 'openai' } });
});

my $mistral = LLMUpstream->start($t, 8082, sub {
	return LLMUpstream::refuses($_[0], keys => ['sk-m'])
		|| { json => { from => 'mistral' } };
});

($out, $messages) = convert($example);
is($messages, '', 'the example has no warnings');

$t->write_file('llm.conf', $out);
$t->balancer(http => "include $t->{_dir}/llm.conf;", server => '');
$t->run();

my %o = (key => 'master-key');

is(chat('gpt-4o', %o, key => 'other')->{status}, 401, 'another client key');

my %used;
for (1 .. 3) {
	is(json(chat('gpt-4o', %o))->{from}, 'openai', 'the provider');
	$used{$openai->last_request()->{key}}++;
}
is_deeply(\%used, { 'sk-1' => 2, 'sk-2' => 1 }, 'weights');

is(json(chat('fast', %o))->{from}, 'openai', 'alias');
is(json($openai->last_request())->{model}, 'gpt-4o', 'its model');

is(json(chat('mistral/some-model', %o))->{from}, 'mistral', 'wildcard');
is(json($mistral->last_request())->{model}, 'some-model', 'its model');

$openai->clear();
is(json(chat('gpt-4o', %o, text => 'limited'))->{from}, 'mistral', 'fallback');
is(json($mistral->last_request())->{model}, 'mistral-small-latest',
	'the model of the fallback');
is_deeply([sort $openai->keys_used()], [qw/sk-1 sk-2/],
	'every key was asked before');

$t->stop();

# one try

($out) = convert($example =~ s/^  fallbacks.*/  num_retries: 0/mr);

$t->write_file('llm.conf', $out);
$t->run();
$openai->clear();

is(chat('gpt-4o', %o, text => 'limited')->{status}, 429, 'no fallback');
is($openai->keys_used(), 1, 'no retry');

my @ids = map { $_->{id} } @{json(get('/v1/models', %o))->{data}};
is_deeply([grep { /^(gpt-4o|fast|backup)$/ } @ids], [qw/gpt-4o backup fast/],
	'the list of models');

###############################################################################
