#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the model in a form, also behind a large file.

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
        llm_key sk-1;
    }

    llm_model short  openai/a-longer-name;

EOF

my $openai = LLMUpstream->start($t, 8081, sub { return { json => {} } });

$t->run()->plan(24);

###############################################################################

my $uri = '/v1/audio/transcriptions';

sub form {
	my ($boundary, @parts) = @_;
	my $body = '';

	while (my ($head, $content) = splice @parts, 0, 2) {
		$body .= "--$boundary\r\nContent-Disposition: form-data; $head\r\n\r\n"
			. "$content\r\n";
	}

	return "$body--$boundary--\r\n";
}

sub upload {
	my ($boundary, $body, %o) = @_;
	return post($uri, $body, headers => ['Content-Type' =>
		$o{type} || "multipart/form-data; boundary=$boundary"], %o);
}

my $file = join '', map { chr(($_ * 7) % 256) } 1 .. 4096;
my @file = ("name=\"file\"; filename=\"model\"\r\nContent-Type: audio/wav",
	"$file\r\n--XY\r\n\r\n--X");

for my $case (
	['in front', form('XYZ', 'name="model"', 'short', @file)],
	['behind', form('XYZ', @file, 'name="model"', 'short')],
	['alone', form('XYZ', 'name="model"', 'short')],
	['with a type', form('XYZ',
		"name=\"model\"\r\nContent-Type: text/plain", 'short')],
	['name without quotes', form('XYZ', 'name=model', 'short')],
	['other case', form('XYZ', 'NAME="model"', 'short')],
	['epilogue', form('XYZ', 'name="model"', 'short') . "more\r\n"],
)
{
	my ($name, $body) = @$case;
	my $r = upload('XYZ', $body);
	my $expect = $body;

	$expect =~ s/\r\n\r\nshort\r\n/\r\n\r\na-longer-name\r\n/;

	is($r->{status}, 200, $name) or diag($r->{body});
	is($openai->last_request()->{md5}, Digest::MD5::md5_hex($expect),
		"$name, as it is sent");
}

# 25 MB in front of it: in a file, and read once

my $large = $file x (25 * 256);
my $body = form('XYZ', 'name="file"; filename="a.wav"', $large,
	'name="model"', 'openai/whisper-1');

is(upload('XYZ', $body)->{status}, 200, '25 MB');
(my $expect = $body) =~ s!openai/whisper-1!whisper-1!;
is($openai->last_request()->{md5}, Digest::MD5::md5_hex($expect),
	'25 MB, as it is sent');

is(upload('', form('a b', 'name="model"', 'short'),
	type => 'multipart/form-data; charset=utf-8; boundary="a b"')->{status},
	200, 'a boundary in quotes');

# without the field it is a file or the like

$body = form('XYZ', 'name="purpose"', 'batch', @file);
is(upload('XYZ', $body)->{status}, 200, 'no model');

for my $bad (
	['cut off', 'XYZ', substr(form('XYZ', 'name="model"', 'short'), 0, -10)],
	['other boundary', 'ABC', form('XYZ', 'name="model"', 'short')],
	['twice', 'XYZ', form('XYZ', 'name="model"', 'short', 'name="model"',
		'other')],
	['long', 'XYZ', form('XYZ', 'name="model"', 'x' x 1000)],
	['long boundary', 'X' x 100, form('X' x 100, 'name="model"', 'short')],
	['no boundary', '', form('', 'name="model"', 'short')],
)
{
	my ($name, $boundary, $b) = @$bad;
	is(upload($boundary, $b)->{status}, 400, $name);
}

###############################################################################
