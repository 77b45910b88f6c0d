#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for encrypted reasoning: only the account that made it can read it.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;', http => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2,sk-3;
    }

EOF

# what one account has encrypted says nothing to another one

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($n, $body) = @$request{qw/n body/};
	my $digit = $request->{key} =~ s/sk-//r;

	return { status => 400, json => { error => { message => 'could not be '
		. 'verified', code => 'invalid_encrypted_content' } } }
		if grep { $_ != $digit } $body =~ /"gAAA-(\d)/g;

	my $item = "{\"id\":\"rs_$n\",\"type\":\"reasoning\","
		. "\"encrypted_content\":\"gAAA-$digit-$n\"}";

	return { events => [
		'{"type":"response.created","response":{"id":"resp_1"}}',
		"{\"type\":\"response.output_item.done\",\"item\":$item}",
		'{"type":"response.completed","response":{"id":"resp_1"}}' ] }
		if $body =~ /"stream":true/;

	return { body => "{\"id\":\"resp_1\",\"output\":[$item,"
		. "{\"id\":\"msg_$n\",\"type\":\"message\"}]}" };
});

# an answer's item, and the key that made it

sub think {
	my ($items, $more) = @_;
	$up->clear();
	my $r = post('/v1/responses', '{"model":"o3","store":false,'
		. '"include":["reasoning.encrypted_content"],"input":['
		. join(',', @$items) . ']' . ($more // '') . '}');
	my ($id) = $r->{body} =~ /"(rs_\d+)"/;
	my ($content) = $r->{body} =~ /"(gAAA[^"]*)"/;
	return { status => $r->{status}, key => $up->last_request()->{key},
		id => $id, content => $content, tries => scalar $up->requests() };
}

sub item {
	my ($id, $content) = @_;
	return '{"type":"reasoning"' . ($id ? ",\"id\":\"$id\"" : '')
		. ($content ? ",\"encrypted_content\":\"$content\"" : '') . '}';
}

sub statuses { join ' ', map { $_->{status} } @_ }

$t->run()->plan(11);

###############################################################################

my $one = think([]);

is(statuses(map { think([item(@$one{qw/id content/})]) } 1 .. 6),
	join(' ', (200) x 6), 'an item');
is(statuses(map { think([item('', $one->{content})]) } 1 .. 6),
	join(' ', (200) x 6), 'without its id');
is(join(' ', map { think([item($one->{id})])->{key} } 1 .. 6),
	join(' ', ($one->{key}) x 6), 'without its content');

# a conversation of many turns

my (@items, %keys);
my $turn = think([]);

for (1 .. 12) {
	push @items, item(@$turn{qw/id content/}),
		'{"role":"user","content":"go on"}';
	$turn = think(\@items);
	$keys{$turn->{key}}++;
	last if $turn->{status} != 200;
}

is(scalar @items, 24, 'a conversation');
is(scalar keys %keys, 1, 'of one key');

# streams

my $stream = think([], ',"stream":true');
like($stream->{id}, qr/^rs_/, 'a stream');
is(statuses(map { think([item(@$stream{qw/id content/})],
	',"stream":true') } 1 .. 6), join(' ', (200) x 6), 'what follows');

# after a reload

$t->reload();
is(statuses(map { think([item('', $one->{content})]) } 1 .. 6),
	join(' ', (200) x 6), 'after a reload');

# an unknown one is no key's fault, and nobody else is asked

my $r = think([item('rs_unknown', 'gAAA-9-x')]);
is($r->{status}, 400, 'unknown');
is($r->{tries}, 1, 'asked once');
is(json(get('/health'))->{unhealthy_count}, 0, 'no key is to blame');

###############################################################################
