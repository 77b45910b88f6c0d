#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the README: every example works, and nothing that exists is missing.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

sub slurp { local (@ARGV, $/) = "$LLMTest::ROOT/$_[0]"; return <> }

my $readme = slurp('README.md');
my @nginx = $readme =~ /^```nginx\n(.*?)^```/msg;
my @sh = $readme =~ /^```sh\n(.*?)^```/msg;

my @directives = slurp('ngx_http_llm_balancer_module.c')
	=~ /ngx_string\("(llm_\w+)"\),\n\s+NGX_/g;
my @variables = slurp('src/ngx_http_llm_vars.c')
	=~ /\{ ngx_string\("(llm_\w+)"\), NULL,/g;

my $t = LLMTest->new();

my $up = LLMUpstream->start($t, 8081, sub {
	return LLMUpstream::refuses($_[0], keys => [qw/sk-key1 sk-key2/])
		|| { json => { real => 1 } };
});

plan(tests => @nginx + 4 * @directives + @variables + 11);

###############################################################################

# configurations

$ENV{OPENAI_API_KEYS} = 'sk-key1,sk-key2';
$ENV{OPENAI_API_BASE} = 'http://127.0.0.1:' . port(8081) . '/v1';
$ENV{MISTRAL_API_KEYS} = 'key';
$ENV{LITELLM_MASTER_KEY} = 'master';

$t->write_file('openai.keys', "sk-file-1\nsk-file-2\n");
$t->write_file('llm_proxy.conf', slurp('conf.d/llm_proxy.conf'));

for my $n (0 .. $#nginx) {
	my $conf = $nginx[$n];

	$conf =~ s/^load_module.*//m;
	$conf =~ s!/etc/nginx/!$t->{_dir}/!g;
	$conf =~ s!/var/log/nginx/!$t->{_dir}/!g;
	$conf = "events { }\n$conf" if $conf !~ /^events/m;
	$conf =~ s/^http \{/http {\n%%TEST_GLOBALS_HTTP%%/m;

	# names that no resolver of a test machine knows

	$conf =~ s/(llm_provider (?:openai|mistral));/$1 base=http:\/\/127.0.0.1:8081;/g;
	$conf =~ s/proxy_pass https:/proxy_pass http:/g;

	my ($out, $ok) = $t->test_config("%%TEST_GLOBALS%%\n$conf");
	ok($ok, "configuration $n") or diag($out);
}

# the two commands

my ($run, $curl) = @sh;

is($run, "OPENAI_API_KEYS=sk-key1,sk-key2 LITELLM_MASTER_KEY=a-key-of-your-own "
	. "make run\n", 'the first command');

mkdir $t->testdir() . '/run';
$ENV{HOST} = '127.0.0.1';
$ENV{PORT} = port(8080);
$ENV{LITELLM_MASTER_KEY} = 'a-key-of-your-own';
delete $ENV{MISTRAL_API_KEYS};

my $pid = fork();

if ($pid == 0) {
	open STDOUT, '>', $t->testdir() . '/out';
	open STDERR, '>&', \*STDOUT;
	exec("$LLMTest::ROOT/objs/llm-entrypoint", "$LLMTest::ROOT/conf.d",
		$t->testdir() . '/run',
		"$LLMTest::ROOT/objs/ngx_http_llm_balancer_module.so");
}

$t->waitforsocket('127.0.0.1:' . port(8080));

$curl =~ s/^curl/curl -s -m 5/;
$curl =~ s/127\.0\.0\.1:4000/'127.0.0.1:' . port(8080)/e;
is(`$curl`, '{"real":1}', 'the second command') or diag($t->read_file('out'));

my ($python) = $readme =~ /^```python\n(.*?)^```/ms;
$python =~ s/127\.0\.0\.1:4000/'127.0.0.1:' . port(8080)/e;
$t->write_file('example.py', "import openai\n${python}print(client.chat."
	. "completions.create(model='gpt-4o', messages=[]).real)\n");
is(`NO_PROXY=127.0.0.1 $LLMTest::ROOT/objs/sdk/venv/bin/python $t->{_dir}/example.py 2>&1`,
	"1\n", 'the client');

# endpoints

my @endpoints = $readme =~ /^\| `GET (\S+)` \|.*\| (yes|no) \|$/mg;
is(@endpoints / 2, 5, 'endpoints');

while (my ($path, $key) = splice @endpoints, 0, 2) {
	is(get($path, key => undef)->{status}, $key eq 'yes' ? 401 : 200,
		"$path, key");
}

kill 'TERM', $pid;
waitpid($pid, 0);

# directives and variables

for my $name (@directives) {
	my ($text) = $readme =~ /^### $name\n(.*?)(?=^##)/ms;

	ok($text, $name);
	like($text // '', qr/^\*\*Syntax:\*\* `$name /m, "$name, syntax");
	like($text // '', qr/^\*\*Default:\*\* /m, "$name, default");
	like($text // '', qr/^\*\*Context:\*\* /m, "$name, context");
}

like($readme, qr/^\| `\$$_` \|/m, "\$$_") for @variables;

my $files = () = glob "$LLMTest::ROOT/t/*.t";
like($readme, qr/\b$files files\b/, 'number of test files');

my $providers = () = slurp('src/ngx_http_llm_catalog.c')
	=~ /^        \.name = /mg;
like(slurp('CHANGELOG.md'), qr/\b@{[$providers - 1]} providers/,
	'number of providers');

###############################################################################
