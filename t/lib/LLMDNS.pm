package LLMDNS;

# Copyright (C) the NGINX LLM balancer authors

# A name server over UDP in a process of its own: what it knows stands in a
# file and may change, what it was asked is written to another one.

###############################################################################

use warnings;
use strict;

use IO::Socket::INET;
use Socket qw/inet_pton AF_INET AF_INET6/;
use Time::HiRes qw/sleep/;

###############################################################################

my %types = (A => 1, CNAME => 5, AAAA => 28);
my %names = reverse %types;


# LLMDNS->start($t, 'name A 127.0.0.1 60', ...): a record a line, with its time
# to live; "name FAIL" is a failure of the server, "name DELAY 0.5" a pause
# before the answer, "SILENT" no answer at all

sub start {
	my ($class, $t, @records) = @_;

	return $class->start_at($t, '127.0.0.1:0', @records) || die "bind: $!";
}


sub start_at {
	my ($class, $t, $address, @records) = @_;

	my $socket = IO::Socket::INET->new(
		Proto => 'udp', LocalAddr => $address,
	) or return;

	my $file = $t->testdir() . '/dns.' . $socket->sockhost() . '.'
		. $socket->sockport();

	my $self = bless {
		records => $file,
		log => "$file.log",
		address => $socket->sockhost() . ':' . $socket->sockport(),
	}, $class;

	$self->set(@records);

	open my $fh, '>', $self->{log} or die $!;
	close $fh;

	$t->run_daemon(sub { $self->serve($socket) });

	return $self;
}


# as "resolver" takes it

sub address {
	my ($self) = @_;
	return $self->{address};
}


# from now on it knows these

sub set {
	my ($self, @records) = @_;

	open my $fh, '>', "$self->{records}.new" or die $!;
	print $fh map { "$_\n" } @records;
	close $fh;

	rename "$self->{records}.new", $self->{records} or die $!;
}


# what it was asked, as "name type"

sub queries {
	my ($self, $re) = @_;

	open my $fh, '<', $self->{log} or return ();
	my @queries = <$fh>;
	chomp @queries;

	return grep { !$re || /$re/ } @queries;
}


sub serve {
	my ($self, $socket) = @_;

	while (1) {
		my $peer = $socket->recv(my $query, 4096);
		next unless defined $peer && length $query > 16;

		my $answer = $self->answer($query);
		$socket->send($answer, 0, $peer) if defined $answer;
	}
}


sub answer {
	my ($self, $query) = @_;

	my ($id) = unpack 'n', $query;
	my $offset = 12;
	my @labels;

	while (my $n = unpack 'C', substr $query, $offset, 1) {
		push @labels, substr $query, $offset + 1, $n;
		$offset += 1 + $n;
	}

	my $name = lc join '.', @labels;
	my ($type) = unpack 'n', substr $query, $offset + 1, 2;
	my $question = substr $query, 12, $offset + 5 - 12;

	open my $log, '>>', $self->{log} or die $!;
	print $log "$name " . ($names{$type} // $type) . "\n";
	close $log;

	open my $fh, '<', $self->{records} or die $!;
	my @records = map { [split] } <$fh>;

	return undef if grep { $_->[0] eq 'SILENT' } @records;

	my @mine = grep { $_->[0] eq $name } @records;
	my $code = @mine ? 0 : 3;

	$code = 2 if grep { $_->[1] eq 'FAIL' } @mine;

	if ($type == $types{A}) {
		sleep $_->[2] for grep { $_->[1] eq 'DELAY' } @mine;
	}

	my @answers = map { data(@$_) }
		grep { $_->[1] eq 'CNAME' || ($types{$_->[1]} // 0) == $type } @mine;

	return pack('nCCnnnn', $id, 0x81, 0x80 | $code, 1, scalar @answers, 0, 0)
		. $question . join '', @answers;
}


sub data {
	my ($name, $type, $value, $ttl) = @_;

	my $data = $type eq 'A' ? inet_pton(AF_INET, $value)
		: $type eq 'AAAA' ? inet_pton(AF_INET6, $value)
		: join('', map { pack 'C/a', $_ } split /\./, $value) . "\0";

	return pack('nnnNn', 0xc00c, $types{$type}, 1, $ttl // 60, length $data)
		. $data;
}

###############################################################################

1;

###############################################################################
