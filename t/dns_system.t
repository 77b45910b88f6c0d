#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for what the system says of names, in files that only nginx sees: name
# servers and search domains of resolv.conf, and names of hosts.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMDNS;

###############################################################################

my $t = LLMTest->new();
my $d = $t->testdir();

my $dns = LLMDNS->start_at($t, '127.0.0.53:53',
	'service A 127.0.0.1 1',
	'short.search.test A 127.0.0.1 1',
	'full.test A 127.0.0.1 1',
	'hosts.test A 127.0.0.9 1',
);

my $last = LLMDNS->start_at($t, '127.0.0.52:53');

plan(skip_all => 'no port 53') unless $dns && $last;
plan(skip_all => 'no mount namespace')
	if system('unshare -m mount --bind /etc /etc >/dev/null 2>&1');

$t->write_file('resolv.conf', <<'EOF');
# the first one is not there, the last one knows nothing

nameserver 127.0.0.54
nameserver 127.0.0.53
nameserver 127.0.0.52
search none.test search.test
options ndots:1
EOF

$t->write_file('hosts', <<'EOF');
127.0.0.1	localhost
127.0.0.2	other.test hosts.test
EOF

$t->write_file('nginx.sh', <<"EOF");
#!/bin/sh
exec unshare -m sh -c 'mount --bind $d/resolv.conf /etc/resolv.conf &&
	mount --bind $d/hosts /etc/hosts && exec $LLMTest::NGINX "\$@"' sh "\$@"
EOF

chmod 0755, "$d/nginx.sh";
$LLMTest::NGINX = "$d/nginx.sh";

my $names = join '', map { <<"EOF" } qw/service short full.test hosts.test late/;

    upstream $_ {
        llm_provider custom base=http://$_:%%PORT_8081%%/v1;
        llm_key sk-1;
    }

EOF

$t->balancer(main => 'worker_processes 1;', http => $names . <<'EOF');

    server {
        listen 127.0.0.1:8081;
        listen 127.0.0.2:%%PORT_8081%%;
        return 200 '{"address":"$server_addr"}';
    }

EOF

$t->run()->plan(16);

###############################################################################

sub address { return json(chat(@_))->{address} // '' }

is(address('service/x'), '127.0.0.1', 'a service');
is(address('short/x'), '127.0.0.1', 'a name of a search domain');
is(address('full.test/x'), '127.0.0.1', 'a full name');
is(address('hosts.test/x'), '127.0.0.2', 'a name of hosts');
is(chat('late/x')->{status}, 503, 'a name that is not there');

$dns->set(
	'service A 127.0.0.2 600',
	'short.search.test A 127.0.0.2 600',
	'full.test A 127.0.0.2 600',
	'hosts.test A 127.0.0.9 600',
	'late A 127.0.0.2 600',
);

for my $name (qw/service short full.test late/) {
	ok(wait_for(sub { address("$name/x") eq '127.0.0.2' }, 10),
		"$name, another address");
}

is(address('hosts.test/x'), '127.0.0.2', 'hosts');
is(scalar $dns->queries(qr/^hosts.test A$/), 0, 'is not asked for');

is(scalar $last->queries(), 0, 'the first that answers is the one to ask');

# a start without an answer: it is waited for once, and not for long

$t->stop();
$_->set('SILENT') for $dns, $last;

my $begin = time();

$t->_start();

ok(wait_for(sub { -s "$d/nginx.pid" }, 60), 'started');
cmp_ok(time() - $begin, '<', 10, 'soon');
ok($t->logged(qr/no answer of a name server for "full.test:\d+" in base/),
	'log');

$dns->set('full.test A 127.0.0.1 1');

ok(wait_for(sub { address('full.test/x') eq '127.0.0.1' }, 20), 'then found');

###############################################################################
