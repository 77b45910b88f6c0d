package LLMTest;

# Copyright (C) the NGINX LLM balancer authors

# Test harness with the method names of nginx-tests' Test::Nginx: an nginx of
# its own in a directory of its own, on ports of its own, for each test file.

###############################################################################

use warnings;
use strict;

use base qw/Exporter/;

our @EXPORT = qw/port http http_get http_start http_end request post get chat
                 json wait_for/;

###############################################################################

use Cwd qw/abs_path/;
use File::Basename qw/dirname/;
use File::Path qw/rmtree/;
use File::Temp qw/tempdir/;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use POSIX qw/WNOHANG/;
use Socket;
use Test::More qw//;
use Time::HiRes qw/sleep time/;

###############################################################################

our $ROOT = abs_path(dirname(__FILE__) . '/../..');

our $NGINX = $ENV{TEST_NGINX_BINARY}
	|| (-x '/usr/sbin/nginx' ? '/usr/sbin/nginx' : 'nginx');

my $MODULE = $ENV{TEST_NGINX_MODULE}
	|| "$ROOT/objs/ngx_http_llm_balancer_module.so";

# valgrind and sanitizers take their time

my $SLOW = $ENV{TEST_NGINX_VALGRIND} ? 20 : $ENV{TEST_NGINX_SLOW} || 1;

my (%ports, @locks, @instances);


sub new {
	my $class = shift;

	my $self = bless {
		_pid => $$,
		_daemons => [],
		_has_run => 0,
		_alerts => 1,
	}, $class;

	$self->{_dir} = tempdir('llm-test-XXXXXXXXXX', TMPDIR => 1);

	chmod 0755, $self->{_dir};

	Test::More::BAIL_OUT("no module at $MODULE, run make build")
		unless -e $MODULE || $ENV{TEST_NGINX_STATIC};

	push @instances, $self;

	# what the shell of a developer has set must not change a test

	delete $ENV{$_} for grep {
		/_API_KEYS?(_FILE)?$|_API_BASE$|_BASE_URL$|_PROXY$|_proxy$
		|^(LLM|LITELLM|HF|OPENAI|AWS|AZURE|GOOGLE|VERTEX|REDIS|UI)/x
		|| /^(DATABASE_URL|STORE_MODEL_IN_DB|SSL_VERIFY|CONFIG_FILE_PATH
		|SERVER_ROOT_PATH|VERCEL_OIDC_TOKEN|HOST|PORT|NUM_WORKERS)$/x
	} keys %ENV;

	return $self;
}


END {
	local $?;
	$_->finish() for grep { $_->{_pid} == $$ } @instances;
}


# stops everything, and adds the two assertions that every file ends with

sub finish {
	my ($self) = @_;

	$self->stop();
	$self->stop_daemons();

	if ($self->{_has_run} && Test::More->builder->has_plan) {
		my $log = $self->read_file('error.log');
		my @alerts = grep { /\[alert\]/ } split /\n/, $log;

		# what a test provokes

		@alerts = grep { !/$self->{_expected}/ } @alerts
			if $self->{_expected};

		Test::More::is(join("\n", @alerts), '', 'no alerts');

		my @bad = map { $self->read_file($_) =~
				/(ERROR SUMMARY: [1-9].*|\w+Sanitizer.*)/ ? "$_: $1" : () }
			map { s!.*/!!r } glob "$self->{_dir}/memory.*";

		Test::More::is(join("\n", @bad), '', 'no memory errors');
	}

	if ($ENV{TEST_NGINX_CATLOG}) {
		system("cat $self->{_dir}/error.log");
	}

	if (!$ENV{TEST_NGINX_LEAVE}) {
		eval { rmtree($self->{_dir}); };
	}
}


# the alerts of nginx that a test provokes

sub expect_alerts {
	my ($self, $re) = @_;
	$self->{_expected} = $re;
	return $self;
}


sub plan {
	my ($self, $plan) = @_;

	# two are added at the end

	Test::More::plan(tests => $plan + 2);

	return $self;
}


sub has_version {
	my ($self, $need) = @_;

	$self->{_configure_args} //= `$NGINX -V 2>&1`;

	return 0 unless $self->{_configure_args} =~ m!nginx/([0-9.]+)!;

	my @v = split /\./, $1;

	for my $n (split /\./, $need) {
		my $v = shift @v || 0;
		return 0 if $n > $v;
		return 1 if $v > $n;
	}

	return 1;
}


sub testdir {
	my ($self) = @_;
	return $self->{_dir};
}


# ports: "127.0.0.1:8080" in a configuration stands for a free one; a UDP
# socket on the same number is the lock against other tests

sub port {
	my ($num) = @_;

	return $ports{$num} if $ports{$num};

	for (1 .. 200) {
		my $port = 9000 + int(rand(23000));

		my $udp = IO::Socket::INET->new(
			Proto => 'udp', LocalAddr => "127.0.0.1:$port",
		) or next;

		my $tcp = IO::Socket::INET->new(
			Proto => 'tcp', LocalAddr => "127.0.0.1:$port",
			Listen => 1, Reuse => 1,
		) or next;

		close $tcp;

		push @locks, $udp;
		return $ports{$num} = $port;
	}

	die "no free port";
}


sub write_file {
	my ($self, $name, $content) = @_;

	open my $fh, '>', "$self->{_dir}/$name"
		or die "cannot create $name: $!";
	binmode $fh;
	print $fh $content;
	close $fh;

	return $self;
}


sub write_file_expand {
	my ($self, $name, $content) = @_;

	my $globals = '';
	$globals .= "daemon off;\n";
	$globals .= "pid $self->{_dir}/nginx.pid;\n";
	$globals .= "error_log $self->{_dir}/error.log debug;\n";
	$globals .= "load_module $MODULE;\n" unless $ENV{TEST_NGINX_STATIC};
	$globals .= "master_process off;\n" if $ENV{TEST_NGINX_VALGRIND};
	$globals .= $ENV{TEST_NGINX_GLOBALS} || '';

	my $http = '';
	$http .= "root $self->{_dir};\n";
	$http .= "access_log $self->{_dir}/access.log;\n"
		unless $content =~ /^    access_log/m;
	$http .= "$_ $self->{_dir}/$_;\n" for qw/
		client_body_temp_path proxy_temp_path fastcgi_temp_path
		uwsgi_temp_path scgi_temp_path /;

	$content =~ s/%%TEST_GLOBALS%%/$globals/g;
	$content =~ s/%%TEST_GLOBALS_HTTP%%/$http/g;
	$content =~ s/%%TESTDIR%%/$self->{_dir}/g;
	$content =~ s/%%LLM_PROXY%%/include $ROOT\/conf.d\/llm_proxy.conf;/g;
	$content =~ s/127\.0\.0\.1:(8\d\d\d)/'127.0.0.1:' . port($1)/ge;
	$content =~ s/%%PORT_(8\d\d\d)%%/port($1)/ge;

	return $self->write_file($name, $content);
}


# a configuration with one server of ours: http and server are what it has
# besides, location what the location has instead of the shipped lines, instead
# what stands in the place of some of these; with spread each worker gets a
# share of the connections

sub balancer {
	my ($self, %o) = @_;

	my $main = $o{main} // '';
	my $http = $o{http} // '';
	my $server = $o{server} // 'llm_client_key master name=tester;';
	my $location = $o{location}
		// "%%LLM_PROXY%%\nproxy_pass https://\$llm_upstream;";
	my $more = $o{more} // '';

	# otherwise one worker may get all connections of a test that has few

	my $listen = $o{spread} && !$ENV{TEST_NGINX_VALGRIND} ? ' reuseport' : '';

	$location =~ s/%%LLM_PROXY%%/$self->llm_proxy($o{instead})/e
		if $o{instead};

	$self->write_file_expand($o{file} || 'nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

$main

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

$http

    server {
        listen 127.0.0.1:8080$listen;
        server_name localhost;

$server

        location / {
$location
$more
        }
    }
}

EOC

	return $self;
}


# whether the error log has a line of more than debug level that matches

sub logged {
	my ($self, $re) = @_;
	return scalar grep { /\[(?!debug)\w+\]/ && /$re/ }
		split /\n/, $self->read_file('error.log');
}


# the shipped lines, with others in the place of some

sub llm_proxy {
	my ($self, $instead) = @_;

	open my $fh, '<', "$ROOT/conf.d/llm_proxy.conf" or die $!;
	my $text = join '', grep { !/^#/ } <$fh>;

	for my $name ($instead =~ /(?:^|;)\s*(\w+)/g) {
		$text =~ s/^$name\s[^;]*;//mg;
	}

	return "$text $instead";
}


sub read_file {
	my ($self, $name) = @_;

	open my $fh, '<', "$self->{_dir}/$name" or return '';
	binmode $fh;
	local $/;
	return <$fh> // '';
}


# a self-signed authority in ca.crt, and a certificate for each name

sub certificates {
	my ($self, @names) = @_;

	my $d = $self->{_dir};

	$self->write_file('openssl.conf', <<'EOC');
[ req ]
default_bits = 2048
encrypt_key = no
distinguished_name = dn
[ dn ]
[ ca ]
basicConstraints = critical,CA:TRUE
EOC

	my $run = sub {
		system("openssl $_[0] >>$d/openssl.out 2>&1") == 0
			or die "openssl $_[0]: " . $self->read_file('openssl.out');
	};

	$run->("req -x509 -new -config $d/openssl.conf -extensions ca "
		. "-subj /CN=ca -days 2 -out $d/ca.crt -keyout $d/ca.key");

	for my $name (@names) {
		$self->write_file('ext', "subjectAltName = DNS:$name\n");
		$run->("req -new -config $d/openssl.conf -subj /CN=$name "
			. "-out $d/$name.csr -keyout $d/$name.key");
		$run->("x509 -req -in $d/$name.csr -CA $d/ca.crt -CAkey $d/ca.key "
			. "-CAcreateserial -days 2 -extfile $d/ext -out $d/$name.crt");
	}

	return $self;
}

###############################################################################

sub run {
	my ($self, $conf) = @_;

	$self->_start($conf);

	Test::More::BAIL_OUT("nginx did not start:\n"
			. $self->read_file('error.log') . $self->read_file('start.out'))
		unless wait_for(sub { -s "$self->{_dir}/nginx.pid"
			|| $self->_gone() }) && -s "$self->{_dir}/nginx.pid";

	# without workers connections already wait, but shared memory may not

	wait_for(sub { $self->workers() }) unless $ENV{TEST_NGINX_VALGRIND};

	return $self;
}


sub _start {
	my ($self, $conf) = @_;

	my @command = ($NGINX, '-p', "$self->{_dir}/",
		'-c', $conf || "$self->{_dir}/nginx.conf",
		'-e', "$self->{_dir}/error.log");

	unshift @command, qw/valgrind -q --error-exitcode=99 --track-fds=no
			--leak-check=no --num-callers=30/,
			"--log-file=$self->{_dir}/memory.%p", '-v'
		if $ENV{TEST_NGINX_VALGRIND};

	my $pid = fork();
	die "fork: $!" unless defined $pid;

	if ($pid == 0) {
		if (defined $self->{_ahead}) {
			$ENV{LLM_TEST_CLOCK} = "$self->{_dir}/clock";
			$ENV{LD_PRELOAD} = join ' ', grep { $_ } $ENV{LD_PRELOAD},
				"$self->{_dir}/clock.so";
		}

		open STDOUT, '>', "$self->{_dir}/start.out";
		open STDERR, '>&', \*STDOUT;
		exec(@command) or die "exec: $!";
	}

	$self->{_nginx} = $pid;
	$self->{_has_run} = 1;
}


sub _gone {
	my ($self) = @_;
	return waitpid($self->{_nginx}, WNOHANG) == $self->{_nginx}
		&& ($self->{_nginx} = 0, 1);
}


# "nginx -t" with a configuration, or with nginx.conf: its output, and whether
# it passed

sub test_config {
	my ($self, $content, %env) = @_;

	local %ENV = (%ENV, %env);

	$self->write_file_expand('test.conf', $content
		// $self->read_file('nginx.conf'));

	my $out = `$NGINX -t -p $self->{_dir}/ -c $self->{_dir}/test.conf 2>&1`;

	return wantarray ? ($out, $? == 0) : $out;
}


sub pid {
	my ($self) = @_;
	my $pid = $self->read_file('nginx.pid');
	chomp $pid;
	return $pid;
}


# pids of the workers that take connections, and of those that end

sub workers {
	my ($self, $what) = @_;
	my $master = $self->pid() or return ();
	my @pids;

	for my $line (split /\n/, `ps -o pid=,args= --ppid $master 2>/dev/null`) {
		next unless $line =~ /^\s*(\d+)\s+nginx: worker process(.*)/;
		my ($pid, $rest) = ($1, $2);
		my $shutting = $rest =~ /shutting down/;
		push @pids, $pid if ($what || '') eq 'old' ? $shutting : !$shutting;
	}

	return @pids;
}


sub reload {
	my ($self) = @_;

	my %before = map { $_ => 1 } $self->workers();

	kill 'HUP', $self->pid();

	# new workers only, and as many as there were

	wait_for(sub {
		my @now = $self->workers();
		@now >= keys %before && !grep { $before{$_} } @now;
	}) or Test::More::diag('reload took too long');

	return $self;
}


# a clock for nginx that a test can move on: to be called before it runs, with
# the time of the day to begin with, in seconds of the epoch and in the future

sub clock {
	my ($self, $begin) = @_;

	my $d = $self->{_dir};

	system("gcc -O1 -Wall -Wextra -Werror -shared -fPIC -o $d/clock.so "
		. "$ROOT/t/lib/clock.c >$d/clock.out 2>&1") == 0
		or die "clock.c: " . $self->read_file('clock.out');

	$self->{_ahead} = 0;

	return $self->advance($begin ? $begin - time() : 0);
}


# by so many seconds; what nginx is asked then, it does at the new time

sub advance {
	my ($self, $seconds) = @_;

	$self->{_ahead} += int($seconds * 1000);

	# not truncated, as it is mapped

	open my $fh, -e "$self->{_dir}/clock" ? '+<' : '>', "$self->{_dir}/clock"
		or die "clock: $!";
	binmode $fh;
	syswrite $fh, pack 'q', $self->{_ahead};
	close $fh;

	return $self;
}


sub stop {
	my ($self) = @_;

	return $self unless $self->{_nginx};

	kill 'QUIT', $self->{_nginx};

	if (!wait_for(sub { $self->_gone() }, 20)) {
		kill 'TERM', $self->{_nginx};
		wait_for(sub { $self->_gone() }, 5)
			or kill 'KILL', $self->{_nginx};
	}

	$self->{_nginx} = 0;
	unlink "$self->{_dir}/nginx.pid";

	return $self;
}


sub run_daemon {
	my ($self, $code, @args) = @_;

	my $pid = fork();
	die "fork: $!" unless defined $pid;

	if ($pid == 0) {
		if (ref $code eq 'CODE') {
			$code->(@args);
			POSIX::_exit(0);
		}
		exec($code, @args);
	}

	push @{$self->{_daemons}}, $pid;

	return $self;
}


sub stop_daemons {
	my ($self) = @_;

	while (my $pid = shift @{$self->{_daemons}}) {
		kill 'TERM', $pid;
		wait_for(sub { waitpid($pid, WNOHANG) == $pid }, 5)
			or kill 'KILL', $pid;
	}

	return $self;
}


sub waitforsocket {
	my ($self, $peer) = @_;

	return wait_for(sub {
		IO::Socket::INET->new(Proto => 'tcp', PeerAddr => $peer);
	});
}


# waits for a condition, not for a time: false if it does not come true

sub wait_for {
	my ($condition, $seconds) = @_;

	my $end = time() + ($seconds || 10) * $SLOW;

	while (1) {
		my $rv = $condition->();
		return $rv if $rv;
		return 0 if time() > $end;
		sleep 0.02;
	}
}

###############################################################################

# HTTP by hand: text in, text out

sub http {
	my ($request, %extra) = @_;

	my $s = http_start($request, %extra) or return;

	return $s if $extra{start};

	return http_end($s, %extra);
}


sub http_get {
	my ($url, %extra) = @_;
	return http("GET $url HTTP/1.0\r\nHost: localhost\r\n\r\n", %extra);
}


sub http_start {
	my ($request, %extra) = @_;

	my $s = $extra{socket} || IO::Socket::INET->new(
		Proto => 'tcp',
		PeerAddr => '127.0.0.1:' . port($extra{port} || 8080),
	) or die "connect: $!";

	$s->autoflush(1);
	local $SIG{PIPE} = 'IGNORE';

	# large bodies, and a peer that answers before it has read them

	my $select = IO::Select->new($s);
	my $offset = 0;
	$s->blocking(0);

	while ($offset < length $request) {
		last unless $select->can_write(10 * $SLOW);
		my $n = syswrite $s, $request, 65536, $offset;
		last if !defined $n && !$!{EAGAIN};
		$offset += $n || 0;
	}

	$s->blocking(1);

	return $s;
}


sub http_end {
	my ($s, %extra) = @_;
	my $reply = '';

	my $select = IO::Select->new($s);
	my $end = time() + ($extra{timeout} || 15) * $SLOW;

	while (time() < $end) {
		next unless $select->can_read(0.5);
		my $n = sysread $s, my $buf, 65536;
		last unless $n;
		$reply .= $buf;
		last if $extra{until} && $reply =~ $extra{until};
	}

	return $reply;
}


# a request with a body of any kind; the answer as a hash of status, headers
# (lower case, joined by ", "), head, body

sub request {
	my ($method, $uri, %o) = @_;

	my @headers = @{$o{headers} || []};
	my $body = $o{body};

	push @headers, Host => 'localhost'
		unless grep { lc eq 'host' } @headers;
	push @headers, Authorization => "Bearer $o{key}" if $o{key};
	push @headers, 'Content-Length' => length $body
		if defined $body && !$o{chunked};
	push @headers, 'Transfer-Encoding' => 'chunked' if $o{chunked};
	push @headers, Connection => 'close' unless $o{keep};

	my $head = "$method $uri HTTP/1.1\r\n";

	while (my ($name, $value) = splice @headers, 0, 2) {
		$head .= "$name: $value\r\n";
	}

	if ($o{chunked}) {
		my $size = $o{chunked};
		my $chunks = '';
		$chunks .= sprintf "%x\r\n%s\r\n", length $1, $1
			while $body =~ /\G(.{1,$size})/gs;
		$body = $chunks . "0\r\n\r\n";
	}

	my $text = http("$head\r\n" . ($body // ''), %o);

	return $text if $o{start};
	return parse($text);
}


sub parse {
	my ($text) = @_;

	my ($head, $body) = split /\r\n\r\n/, $text // '', 2;
	my %r = (head => $head // '', body => $body // '', headers => {},
		status => 0);

	$r{status} = $1 if $r{head} =~ m!^HTTP/1\.[01] (\d{3})!;

	for my $line (split /\r\n/, $r{head}) {
		next unless $line =~ /^([^:\s]+):\s*(.*)$/;
		my $name = lc $1;
		$r{headers}{$name} = defined $r{headers}{$name}
			? "$r{headers}{$name}, $2" : $2;
	}

	if (($r{headers}{'transfer-encoding'} || '') eq 'chunked') {
		my $in = $r{body};
		$r{body} = '';

		while ($in =~ s/^([0-9a-fA-F]+)[^\r\n]*\r\n//) {
			my $n = hex $1 or do { $r{complete} = 1; last };
			$r{body} .= substr $in, 0, $n, '';
			$in =~ s/^\r\n//;
		}

	} else {
		$r{complete} = !defined $r{headers}{'content-length'}
			|| length $r{body} == $r{headers}{'content-length'};
	}

	return \%r;
}


sub get {
	my ($uri, %o) = @_;
	return request('GET', $uri, key => 'master', %o);
}


sub post {
	my ($uri, $body, %o) = @_;

	my @headers = @{$o{headers} || []};

	push @headers, 'Content-Type' => 'application/json'
		unless grep { lc eq 'content-type' } @headers;

	return request('POST', $uri, key => 'master', %o, body => $body,
		headers => \@headers);
}


# the request that most clients make: messages in front of the model

sub chat {
	my ($model, %o) = @_;

	my $text = delete $o{text} // 'Hello';
	my $stream = delete $o{stream};
	my $json = JSON::PP->new->allow_nonref->utf8;

	my $body = '{"messages":[{"role":"user","content":'
		. $json->encode($text) . '}],"model":' . $json->encode($model)
		. ($stream ? ',"stream":true' : '') . '}';

	return post(delete $o{uri} || '/v1/chat/completions', $body, %o);
}


sub json {
	my ($text) = @_;
	$text = $text->{body} if ref $text;
	return eval { JSON::PP->new->allow_nonref->utf8->decode($text) };
}

###############################################################################

1;

###############################################################################
