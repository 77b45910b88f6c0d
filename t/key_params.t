#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for parameters of llm_key: backup, down, models, max_conns, names.

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

    upstream backup {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-backup-1 backup name=reserve;
        llm_key sk-first-1,sk-first-2;
    }

    upstream down {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-down-1 down;
        llm_key sk-up-1,sk-up-2 name=up;
    }

    upstream nothing {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-down-2 down;
    }

    upstream models {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-big models=big-*,o3;
        llm_key sk-small models=small;
        llm_key sk-renamed models=real-*;
    }

    upstream conns {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-two max_conns=2;
        llm_key sk-one max_conns=1;
    }

    llm_model alias models/real-name;

EOF

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my ($what) = $request->{body} =~ /"content":"([^"]*)"/;

	return { events => ['{}', 30, '[DONE]'] } if $what eq 'stay';
	return { status => 429, headers => ['Retry-After' => 2], json => {} }
		if $what eq 'limit' && $request->{key} =~ /first/;
	return { json => {} };
});

$t->run()->plan(24);

###############################################################################

sub used {
	my ($model, $n, %o) = @_;
	$up->clear();
	chat($model, %o) for 1 .. $n;
	my %n;
	$n{$_}++ for $up->keys_used();
	return join ' ', map { "$_=$n{$_}" } sort keys %n;
}

is(used('backup/x', 4), 'sk-first-1=2 sk-first-2=2', 'no backup key');
is(used('backup/x', 1, text => 'limit'),
	'sk-backup-1=1 sk-first-1=1 sk-first-2=1', 'when the others cannot');
is(used('backup/x', 2), 'sk-backup-1=2', 'while they cannot');
ok(wait_for(sub { used('backup/x', 1) =~ /first/ }), 'and not any longer');

is(used('down/x', 4), 'sk-up-1=2 sk-up-2=2', 'down');
is(chat('nothing/x')->{status}, 503, 'all down');

is(used('models/big-1', 3), 'sk-big=3', 'a pattern');
is(used('models/o3', 2), 'sk-big=2', 'a name');
is(used('models/small', 2), 'sk-small=2', 'another key');
is(used('alias', 2), 'sk-renamed=2', 'the name that is sent counts');

my $r = chat('models/other');
is($r->{status}, 404, 'for no key');
like(json($r)->{error}{message}, qr/"models\/other"/, 'which is named');

# in flight

$up->clear();
my @streams = map { chat('conns/x', text => 'stay', start => 1) } 1 .. 3;
http_end($_, until => qr/data:/) for @streams;

is(join(' ', sort $up->keys_used()), 'sk-one sk-two sk-two', 'max_conns');

$r = chat('conns/x');
is($r->{status}, 429, 'all at their limit');
is(json($r)->{error}{type}, 'rate_limit_error', 'type');
is($r->{headers}{'retry-after'}, '1', 'soon');

sub in_flight {
	my $j = json(get('/health'));
	return { map { $_->{key} => $_->{in_flight} }
		map { @{$j->{$_}} } qw/healthy_endpoints unhealthy_endpoints/ };
}

is(in_flight()->{'conns-1'}, 2, 'in flight');
is(in_flight()->{'conns-2'}, 1, 'in flight, the other');

close shift @streams;
ok(wait_for(sub { chat('conns/x')->{status} == 200 }), 'one has ended');

close $_ for @streams;
ok(wait_for(sub { my $n = in_flight(); !$n->{'conns-1'} && !$n->{'conns-2'} }),
	'all have ended');

# names

my %names = map { $_ => 1 } keys %{in_flight()};

ok($names{reserve}, 'a name for one');
ok($names{'up-1'} && $names{'up-2'}, 'a name for several');
ok($names{'backup-2'} && $names{'backup-3'}, 'by default in order');
ok($names{'models-1'} && $names{'models-3'}, 'of the upstream');

###############################################################################
