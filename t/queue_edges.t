#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what waiting must not spoil: connections that are kept, answers
# that are large, fallbacks, requests for other keys, and the one try of an
# upstream that was out.

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

    upstream kept {
        llm_provider custom base=http://127.0.0.1:8081/v1;
        llm_key sk-1;
        llm_queue 10s 8;
        keepalive 4;
    }

    upstream large {
        llm_provider custom base=http://127.0.0.1:8082/v1;
        llm_key sk-1;
        llm_queue 10s 8;
    }

    upstream first {
        llm_provider custom base=http://127.0.0.1:8083/v1;
        llm_key sk-1;
        llm_queue 10s 1;
    }

    upstream idle {
        llm_provider custom base=http://127.0.0.1:8084/v1;
        llm_key sk-1;
    }

    upstream models {
        llm_provider custom base=http://127.0.0.1:8085/v1;
        llm_key sk-a models=a*;
        llm_key sk-b models=b*;
        llm_queue 10s 8;
    }

    upstream probed {
        llm_provider custom base=http://127.0.0.1:8086/v1;
        llm_key sk-1;
    }

    llm_model chain first/x idle/x;

EOF

sub limited {
	my ($seconds, %o) = @_;
	return { status => 429, headers => ['Retry-After' => $seconds], %o };
}

my ($kept, $large, $first, $idle, $models, $probed) = map {
	my $num = $_;
	LLMUpstream->start($t, $num, sub {
		my ($request) = @_;
		my ($what) = $request->{body} =~ /"content":"(\w*)/;
		return limited(2, body => '') if $what eq 'empty';
		return limited(1, json => { error => { message => 'x' x 60000 } })
			if $what eq 'large' && $request->{n} % 2;
		return limited(5, json => {}) if $what eq 'limited';
		return { status => 500, json => {} } if $what eq 'ill';
		return { wait => 60 } if $what eq 'hang';
		return { json => { ok => $num } };
	});
} 8081 .. 8086;

$t->clock()->run()->plan(13);

###############################################################################

sub waits {
	return scalar(() = $t->read_file('error.log') =~ /llm waits for a key/g);
}

# a client that goes while it waits: its connection is not used again

my $s = chat('kept/x', text => 'empty', start => 1);
ok(wait_for(sub { waits() == 1 }), 'it waits');
close $s;
wait_for(sub { $t->read_file('error.log') =~ /llm waits no more/ });

is(chat('kept/x', text => 'ok', timeout => 5)->{status}, 200,
	'the next one is answered');

# an answer that fills its buffer

my $r = chat('large/x', text => 'large');
is($r->{status}, 200, 'waited with a large answer');
is(scalar $large->requests(), 2, 'two tries');

# a fallback that nobody waits for is asked at once

my $n = waits();
$s = chat('first/x', text => 'limited', start => 1);
ok(wait_for(sub { waits() > $n }), 'one waits for the first');
$r = chat('chain', text => 'ok');
is(json($r)->{ok}, 8084, 'the fallback is idle');
close $s;

# other models have other keys

$n = waits();
$s = chat('models/a-1', text => 'limited', start => 1);
ok(wait_for(sub { waits() > $n }), 'one waits for its key');
is(chat('models/b-1', text => 'ok')->{status}, 200, 'others do not');
is(waits(), $n + 1, 'nor for a moment');
close $s;

# the one try of an upstream that was out: its client goes before an answer

chat('probed/x', text => 'ill') for 1 .. 10;
is(chat('probed/x', text => 'ok')->{status}, 503, 'out');
$t->advance(6);

$probed->clear();
$s = chat('probed/x', text => 'hang', start => 1);
ok(wait_for(sub { scalar $probed->requests() }), 'the one try');
is(chat('probed/x', text => 'ok')->{status}, 503, 'no other meanwhile');
close $s;
ok(wait_for(sub { chat('probed/x', text => 'ok')->{status} == 200 }, 5),
	'another one at once');

###############################################################################
