#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for "llm_balance affinity": a conversation stays with its key, so that
# the provider's prompt cache is of use.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMUpstream;

use JSON::PP;

###############################################################################

my $t = LLMTest->new()->balancer(main => 'worker_processes 2;', http => <<'EOF',

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_balance affinity;
        llm_key sk-1,sk-2,sk-3,sk-4;
    }

EOF
	more => 'add_header X-Worker $pid always;', spread => 1);

# the key in a file is at its limit

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;

	return { status => 429, headers => ['Retry-After' => 10], json => { error =>
		{ message => 'slow', code => 'rate_limit_exceeded' } } }
		if $request->{key} eq $t->read_file('limited');

	return LLMUpstream::refuses($request, keys => [qw/sk-1 sk-2 sk-3 sk-4/])
		|| ($request->{body} =~ /"stream":true/
			? { events => ['first', 120, 'last'] } : { json => {} });
});

sub ask {
	my ($fields, %o) = @_;
	my $n = ++$t->{_n};

	return post('/v1/chat/completions', JSON::PP->new->canonical->encode({
		model => 'gpt-4o',
		messages => [ { role => 'user', content => "question $n" } ],
		%$fields }), %o);
}

# the keys of some requests, each once, and the workers

my %workers;

sub used {
	my ($count, $fields, %o) = @_;
	my %keys;

	$up->clear();

	for (1 .. $count) {
		my $r = ask($fields, %o);
		$workers{$r->{headers}{'x-worker'}}++;
	}

	$keys{$_}++ for $up->keys_used();
	return join ' ', sort keys %keys;
}

sub in_flight {
	my $n = 0;
	$n += $_->{in_flight} for @{json(get('/health'))->{healthy_endpoints}};
	return $n;
}

$t->clock()->run()->plan(21);

###############################################################################

like(used(12, { prompt_cache_key => 'one' }), qr/^sk-\d$/, 'prompt_cache_key');
like(used(12, { metadata => { session_id => 'one' } }), qr/^sk-\d$/,
	'metadata.session_id');
like(used(12, { user => 'one' }), qr/^sk-\d$/, 'user');
like(used(12, {}, headers => ['X-Session-Affinity' => 'one']), qr/^sk-\d$/,
	'header');

for (1 .. 200) {
	last if keys %workers > 1;
	used(1, { user => 'one' });
}

is(scalar keys %workers, 2, 'several workers agree');

# a conversation grows behind its beginning

my @messages = ({ role => 'system', content => 'You are a helpful assistant.' },
	{ role => 'user', content => 'Tell me about the weather.' });
my %keys;

for my $turn (1 .. 8) {
	$keys{used(1, { messages => \@messages })}++;
	push @messages, { role => 'assistant', content => "Answer $turn." },
		{ role => 'user', content => "And $turn?" };
}

is(scalar keys %keys, 1, 'the beginning of the prompt');

# what a client says counts for more than the prompt

like(used(4, { messages => [@messages], prompt_cache_key => 'one' }),
	qr/^sk-\d$/, 'a session');
is(used(1, { messages => [@messages], prompt_cache_key => 'one' }),
	used(1, { prompt_cache_key => 'one' }), 'before the prompt');

# others have others

%keys = ();
$keys{used(1, { user => "user $_" })}++ for 1 .. 80;
is(scalar keys %keys, 4, 'sessions are spread');
is(scalar(grep { $_ < 5 } values %keys), 0, 'over all') or diag(%keys);

# a key that is out: the session goes to another one, and comes back

my $home = used(1, { user => 'one' });

$t->write_file('limited', $home);
is(ask({ user => 'one' })->{status}, 200, 'its key is out');
my $guest = used(6, { user => 'one' });
like($guest, qr/^sk-\d$/, 'one other key meanwhile');
isnt($guest, $home, 'another one');

$t->write_file('limited', '');
is(used(2, { user => 'one' }), $guest, 'until its own is back');
$t->advance(11);
is(used(4, { user => 'one' }), $home, 'which it then has again');

# one that is too busy: the same

my @streams = map { ask({ user => 'one', stream => \1 }, start => 1) } 1 .. 8;
http_end($_, until => qr/first/) for @streams;
is(in_flight(), 8, 'eight streams');

$guest = used(3, { user => 'one' });
isnt($guest, $home, 'more than its share');
like($guest, qr/^sk-\d$/, 'one other key');

close $_ for @streams;
ok(wait_for(sub { in_flight() == 0 }), 'they have ended');
is(used(3, { user => 'one' }), $home, 'back again');

# new workers know the same

$t->reload();
is(used(3, { user => 'one' }), $home, 'after a reload');

###############################################################################
