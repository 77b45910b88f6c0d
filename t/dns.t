#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the addresses of a base URL's host, which change while nginx runs.

###############################################################################

use warnings;
use strict;

use Test::More;
use Time::HiRes qw/sleep time/;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMDNS;

###############################################################################

my $t = LLMTest->new();

$t->clock();

my $dns = LLMDNS->start($t,
	'changes.test A 127.0.0.1 1',
	'long.test A 127.0.0.1 600',
	'several.test A 127.0.0.1 600',
	'several.test A 127.0.0.2 600',
	'several.test A 127.0.0.9 600',
	'alias.test CNAME target.test 1',
	'target.test A 127.0.0.2 1',
	'chain.test A 127.0.0.2 600',
);

my $names = join '', map { <<"EOF" } qw/changes long several alias late chain/;

    upstream $_ {
        llm_provider custom base=http://$_.test:%%PORT_8081%%/v1;
        llm_key sk-1;
        keepalive 8;
    }

EOF

$t->balancer(main => 'worker_processes 1;', http => $names . <<"EOF");

    resolver ${\$dns->address()};

    llm_model first late/x chain/x;

    upstream servers {
        llm_provider custom base=http://servers.test/v1;
        server 127.0.0.1:8081;
        llm_key sk-1;
    }

    log_format c '\$connection \$http_host';

    server {
        listen 127.0.0.1:8081;
        listen 127.0.0.2:%%PORT_8081%%;
        access_log %%TESTDIR%%/provider.log c;
        return 200 '{"address":"\$server_addr"}';
    }

EOF

$t->run()->plan(27);

###############################################################################

sub address { return json(chat(@_))->{address} // '' }

# an address is used as long as it holds, and no longer

is(address('changes/x'), '127.0.0.1', 'found');
is(address('long/x'), '127.0.0.1', 'another one found');

$dns->set(
	'changes.test A 127.0.0.2 600',
	'long.test A 127.0.0.2 600',
	'several.test A 127.0.0.1 600',
	'several.test A 127.0.0.2 600',
	'several.test A 127.0.0.9 600',
	'alias.test CNAME target.test 1',
	'target.test A 127.0.0.2 1',
	'chain.test A 127.0.0.2 600',
);

ok(wait_for(sub { address('changes/x') eq '127.0.0.2' }, 5),
	'a new address without a reload');
is(address('long/x'), '127.0.0.1', 'but one that holds is not asked for');
is(scalar $dns->queries(qr/^long.test A$/), 1, 'and was asked for once');
is(scalar $dns->queries(qr/^changes.test A$/), 2, 'the other one twice');

# one that is dead gives way to the others

my (%seen, @status);

for (1 .. 12) {
	my $r = chat('several/x');
	$seen{json($r)->{address} // ''}++;
	push @status, $r->{status};
}

is("@status", join(' ', (200) x 12), 'several addresses, one of them dead');
is(join(' ', sort keys %seen), '127.0.0.1 127.0.0.2', 'the others are used');
is(scalar(() = $t->read_file('error.log')
	=~ /connect\(\) failed .*127\.0\.0\.9/g), 1, 'the dead one is left alone');

# connections are kept, under the name of the base URL

my @connections = map { (split)[0] }
	grep { /several/ } split /\n/, $t->read_file('provider.log');
my %connections = map { $_ => 1 } @connections;

is(scalar @connections, 12, 'requests');
is(scalar keys %connections, 2, 'connections are kept');
like($t->read_file('provider.log'), qr/ several.test:\d+$/m, 'host');

# a name of a name

is(address('alias/x'), '127.0.0.2', 'alias');

# not found, then found

my $r = chat('late/x');

is($r->{status}, 503, 'not found');
is(json($r)->{error}{code}, 'provider_unresolved', 'code');
is(address('first'), '127.0.0.2', 'the next of the chain');
is(scalar(() = $t->read_file('error.log')
	=~ /\[warn\].*host "late.test" of upstream "late" could not be/g), 1,
	'logged once');

sub health {
	return grep { $_->{model} eq 'late/*' } @{json(get('/health'))->{$_[0]}};
}

is(scalar health('unhealthy_endpoints'), 1, 'health');

$dns->set(
	'late.test A 127.0.0.2 600',
	'alias.test CNAME target.test 1',
	'target.test A 127.0.0.2 1',
);

ok(wait_for(sub { health('healthy_endpoints') }, 10),
	'found without a request');
is(address('late/x'), '127.0.0.2', 'found');
ok($t->logged(qr/host "late.test" .* is resolved again/), 'log');

# what was known long ago is not trusted

is(address('alias/x'), '127.0.0.2', 'alias again');

$dns->set(
	'late.test A 127.0.0.2 600',
	'alias.test CNAME target.test 1',
	'target.test A 127.0.0.1 1',
);
$t->advance(100);

is(address('alias/x'), '127.0.0.1', 'the new address at once');

# what does not answer any more is of no account while an address is known

$dns->set('SILENT');
sleep 2.1;

my $begin = time();
is(address('alias/x'), '127.0.0.1', 'the last address is used');
cmp_ok(time() - $begin, '<', 1, 'at once');

# servers are what the operator says they are

is(address('servers/x'), '127.0.0.1', 'server lines');
is(scalar $dns->queries(qr/servers/), 0, 'are not asked for');

###############################################################################
