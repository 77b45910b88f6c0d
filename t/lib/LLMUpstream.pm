package LLMUpstream;

# Copyright (C) the NGINX LLM balancer authors

# A simulated provider in a process of its own: what it answers is scripted by
# a function, down to single bytes and pauses; what it was asked is written to
# a file, one JSON object a line.

###############################################################################

use warnings;
use strict;

use Digest::MD5 qw/md5_hex/;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Socket qw/SOL_SOCKET SO_LINGER/;
use Time::HiRes qw/time/;

use LLMTest;

###############################################################################

# LLMUpstream->start($t, 8081, sub { my ($request) = @_; return {...} });
#
# The request: method, uri, path, args, headers (lower case, joined), body,
# key (from the auth header), n (number of the request), connection (number).
#
# The answer, a hash, with all of it optional:
#
#     status, headers [name => value, ...], body
#     json    encoded as the body
#     events  list of event stream data
#     pieces  the body as a list of strings; a number is a pause in seconds
#     raw     list of strings and pauses instead of all that
#     length  a lie in Content-Length
#     end     "close" (without a length), "reset" or "stall" (never ends)
#     wait    pause before anything

sub start {
	my ($class, $t, $num, $script) = @_;

	my $self = bless {
		file => $t->testdir() . "/upstream.$num",
		port => port($num),
	}, $class;

	my $listen = IO::Socket::INET->new(
		Proto => 'tcp', LocalAddr => "127.0.0.1:$self->{port}",
		Listen => 1024, Reuse => 1,
	) or die "listen $self->{port}: $!";

	open my $fh, '>', $self->{file} or die $!;
	close $fh;

	$t->run_daemon(sub { $self->serve($listen, $script) });

	close $listen;

	return $self;
}


# what was asked so far

sub requests {
	my ($self) = @_;

	open my $fh, '<', $self->{file} or return ();
	return grep { $_->{method} } map { JSON::PP->new->latin1->decode($_) }
		grep { /\n$/ } <$fh>;
}


# how many clients went away in the middle of an answer

sub aborted {
	my ($self) = @_;

	open my $fh, '<', $self->{file} or return 0;
	return scalar grep { /"busy":1/ } <$fh>;
}


sub last_request {
	my ($self) = @_;
	return ($self->requests())[-1];
}


sub keys_used {
	my ($self) = @_;
	return map { $_->{key} } $self->requests();
}


sub clear {
	my ($self) = @_;
	truncate $self->{file}, 0;
	return $self;
}

###############################################################################

sub serve {
	my ($self, $listen, $script) = @_;

	local $SIG{PIPE} = 'IGNORE';
	local $SIG{TERM} = 'DEFAULT';

	open my $log, '>>', $self->{file} or die $!;
	$log->autoflush(1);

	my (%conns, $connections, $n);

	$listen->blocking(0);

	while (1) {
		my $now = time();
		my ($read, $write, $wait) = (IO::Select->new($listen),
			IO::Select->new(), 10);

		for my $c (values %conns) {
			if (@{$c->{out}} && !ref $c->{out}[0]) {
				$write->add($c->{s});
			}

			if (@{$c->{out}} && ref $c->{out}[0]) {
				my $left = ${$c->{out}[0]} - $now;
				$wait = $left if $left < $wait;
			}

			$read->add($c->{s});
		}

		my ($r, $w) = IO::Select->select($read, $write, undef,
			$wait > 0 ? $wait : 0);

		for my $s (@{$r || []}) {

			if ($s == $listen) {
				while (my $new = $listen->accept()) {
					$new->blocking(0);
					$conns{$new} = { s => $new, in => '', out => [],
						id => ++$connections };
				}

				next;
			}

			my $c = $conns{$s} or next;
			my $got = sysread $s, $c->{in}, 1048576, length $c->{in};

			if (!$got && !(!defined $got && $!{EAGAIN})) {
				print $log JSON::PP->new->encode(
					{ closed => $c->{id}, busy => @{$c->{out}} ? 1 : 0 })
					. "\n" if @{$c->{out}};
				delete $conns{$s};
				close $s;
				next;
			}

			while (!@{$c->{out}} && (my $request = take($c))) {
				$request->{n} = ++$n;
				$request->{connection} = $c->{id};

				my $answer = $script->($request) || {};

				my %witness = %$request;
				$witness{md5} = md5_hex($request->{body});
				$witness{length} = length $request->{body};
				$witness{body} = substr $request->{body}, 0, 65536;
				print $log JSON::PP->new->latin1->canonical
					->encode(\%witness) . "\n";

				$c->{out} = render($request, $answer);
			}
		}

		$now = time();

		for my $c (values %conns) {
			while (@{$c->{out}}) {
				my $item = $c->{out}[0];

				# a pause, which begins when it is reached

				if (ref $item) {
					last if $$item > $now;
					shift @{$c->{out}};
					next;
				}

				if ($item =~ /^\0(pause|stall|close|reset)(.*)/) {
					shift @{$c->{out}};

					if ($1 eq 'pause') {
						my $until = $now + $2;
						unshift @{$c->{out}}, \$until;
						last;
					}

					if ($1 eq 'stall') {
						my $until = $now + 3600;
						unshift @{$c->{out}}, \$until;
						last;
					}

					setsockopt($c->{s}, SOL_SOCKET, SO_LINGER,
						pack('ii', 1, 0)) if $1 eq 'reset';

					delete $conns{$c->{s}};
					close $c->{s};
					last;
				}

				my $sent = syswrite $c->{s}, $item;

				if (!defined $sent) {
					last if $!{EAGAIN};
					delete $conns{$c->{s}};
					close $c->{s};
					last;
				}

				if ($sent < length $item) {
					$c->{out}[0] = substr $item, $sent;
					last;
				}

				shift @{$c->{out}};
			}
		}
	}
}


# a whole request out of what a connection has sent

sub take {
	my ($c) = @_;

	$c->{in} =~ /\r\n\r\n/ or return;

	my ($head, $rest) = ($`, $');
	my ($line, @lines) = split /\r\n/, $head;
	my ($method, $uri, $version) = split / /, $line;

	my (%headers, @names);

	for (@lines) {
		/^([^:]+):\s*(.*)$/ or next;
		push @names, $1;
		my $name = lc $1;
		$headers{$name} = exists $headers{$name}
			? "$headers{$name}, $2" : $2;
	}

	my $body = '';

	if (defined(my $length = $headers{'content-length'})) {
		return if length $rest < $length;
		$body = substr $rest, 0, $length, '';

	} elsif (($headers{'transfer-encoding'} || '') eq 'chunked') {
		my $in = $rest;

		while (1) {
			$in =~ s/^([0-9a-fA-F]+)[^\r\n]*\r\n// or return;
			my $size = hex $1;
			return if length $in < $size + 2;
			$body .= substr $in, 0, $size, '';
			$in =~ s/^\r\n//;
			last if $size == 0;
		}

		$rest = $in;
	}

	$c->{in} = $rest;

	my ($path, $args) = split /\?/, $uri, 2;
	my ($key) = ($headers{authorization} || '') =~ /^Bearer (.*)/;

	$key //= $headers{'x-api-key'} // $headers{'api-key'}
		// $headers{'x-goog-api-key'} // '';

	return { method => $method, uri => $uri, path => $path,
		args => $args // '', version => $version, headers => \%headers,
		names => \@names, body => $body, key => $key, head => $head };
}


sub render {
	my ($request, $a) = @_;

	my @out;

	push @out, "\0pause$a->{wait}" if $a->{wait};

	if ($a->{raw}) {
		push @out, map { /^[\d.]+$/ ? "\0pause$_" : $_ } @{$a->{raw}};
		push @out, "\0" . ($a->{end} || 'close');
		return \@out;
	}

	my $status = $a->{status} || 200;
	my @headers = @{$a->{headers} || []};
	my @pieces = @{$a->{pieces} || []};
	my $type = 'application/json';

	if ($a->{events}) {
		$type = 'text/event-stream';
		push @pieces, map { /^[\d.]+$/ ? $_ : "data: $_\n\n" }
			@{$a->{events}};
	}

	push @pieces, $a->{body} if defined $a->{body};
	push @pieces, JSON::PP->new->canonical->utf8->encode($a->{json})
		if $a->{json};

	my %have = map { lc($headers[2 * $_]) => 1 } 0 .. @headers / 2 - 1;

	my $head = "HTTP/1.1 $status Status\r\n";
	$head .= "Content-Type: $type\r\n" unless $have{'content-type'};

	while (my ($name, $value) = splice @headers, 0, 2) {
		$head .= "$name: $value\r\n";
	}

	my $end = $a->{end} || '';
	my $chunked = !$end && (grep { /^[\d.]+$/ } @pieces) || $a->{events};
	my $bytes = grep { !/^[\d.]+$/ } @pieces;

	if ($end eq 'close') {
		$head .= "Connection: close\r\n";

	} elsif ($chunked) {
		$head .= "Transfer-Encoding: chunked\r\n";

	} else {
		my $length = 0;
		$length += length for grep { !/^[\d.]+$/ } @pieces;
		$head .= 'Content-Length: ' . ($a->{length} // $length) . "\r\n";
	}

	push @out, "$head\r\n";

	for my $piece (@pieces) {
		if ($piece =~ /^[\d.]+$/) {
			push @out, "\0pause$piece";

		} elsif ($chunked) {
			push @out, sprintf "%x\r\n%s\r\n", length $piece, $piece
				if length $piece;

		} else {
			push @out, $piece;
		}
	}

	push @out, "0\r\n\r\n" if $chunked && !$end;
	push @out, "\0$end" if $end;

	# small answers in one write, as servers do it

	if (!grep { /^\0/ } @out) {
		@out = (join '', @out);
	}

	return [ grep { length } @out ];
}

###############################################################################

# What OpenAI and its like refuse, for the scripts of tests: returns an answer
# for a request that the real one would not take, nothing otherwise.

sub refuses {
	my ($request, %o) = @_;

	my $error = sub {
		my ($status, $code, $message) = @_;
		return { status => $status, json => { error => {
			message => $message, type => 'invalid_request_error',
			param => undef, code => $code } } };
	};

	my %auth = (bearer => 'authorization', x_api_key => 'x-api-key',
		goog => 'x-goog-api-key', api_key => 'api-key');
	my $auth = $auth{$o{auth} || 'bearer'};
	my $h = $request->{headers};

	for my $name (values %auth) {
		next if $name eq $auth;
		return $error->(400, 'leak', "$name must not be here")
			if defined $h->{$name};
	}

	for my $name (qw/cookie forwarded x-real-ip openai-organization
		openai-project x-goog-user-project x-litellm-api-key
		ocp-apim-subscription-key/, grep { /^x-forwarded-/ } keys %$h)
	{
		return $error->(400, 'leak', "$name must not be here")
			if defined $h->{$name};
	}

	return $error->(401, 'invalid_api_key', 'Incorrect API key provided')
		unless defined $h->{$auth}
			&& grep { $request->{key} eq $_ } @{$o{keys} || []};

	return $error->(400, 'leak', 'the arguments have a key')
		if $request->{args} =~ /(^|&)key=/;

	return $error->(406, 'encoding', 'identity is expected')
		if ($h->{'accept-encoding'} || '') ne 'identity';

	return $error->(404, 'host', "this is not $h->{host}")
		if $o{host} && $h->{host} ne $o{host};

	return;
}

###############################################################################

1;

###############################################################################
