package LLMBrowser;

# Copyright (C) the NGINX LLM balancer authors

# A real browser without a screen: Chromium, driven over WebDriver's HTTP.

###############################################################################

use warnings;
use strict;

use HTTP::Tiny;
use JSON::PP;
use MIME::Base64;

use LLMTest;

###############################################################################

# nothing but a reason if there is no browser and none can be installed

sub missing {
	my $out = `$LLMTest::ROOT/.ci/packages chromium chromedriver=chromium-driver 2>&1`;
	return $? ? $out || 'no chromium' : '';
}


sub start {
	my ($class, $t, $num) = @_;

	my $d = $t->testdir();

	my $self = bless {
		base => 'http://127.0.0.1:' . port($num),
		http => HTTP::Tiny->new(timeout => 60),
		json => JSON::PP->new->utf8->allow_nonref,
	}, $class;

	$t->run_daemon(sub {
		open STDOUT, '>', "$d/driver.out";
		open STDERR, '>&', \*STDOUT;
		$ENV{HOME} = $d;
		exec('chromedriver', '--port=' . port($num)) or die "exec: $!";
	});

	$t->waitforsocket('127.0.0.1:' . port($num)) or die 'no chromedriver';

	my $session = $self->ask('POST', '/session', { capabilities => {
		alwaysMatch => {
			browserName => 'chrome',
			'goog:loggingPrefs' => { browser => 'ALL' },
			'goog:chromeOptions' => { args => [ '--headless=new',
				'--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
				'--hide-scrollbars', '--force-color-profile=srgb',
				"--user-data-dir=$d/browser" ] },
		},
	} });

	$self->{session} = "/session/$session->{sessionId}";

	return $self;
}


sub ask {
	my ($self, $method, $path, $body) = @_;

	my $r = $self->{http}->request($method, $self->{base} . $path,
		$method eq 'POST' ? { content => $self->{json}->encode($body || {}),
		headers => { 'Content-Type' => 'application/json' } } : {});

	my $json = eval { $self->{json}->decode($r->{content}) };

	die "$method $path: " . ($json ? "$json->{value}{error}: "
		. "$json->{value}{message}" : $r->{content}) . "\n"
		unless $r->{success};

	return $json->{value};
}


sub send {
	my ($self, $path, $body) = @_;
	return $self->ask('POST', "$self->{session}/$path", $body);
}


sub open {
	my ($self, $url) = @_;
	$self->send('url', { url => $url });
}


# a function's body, whose value is returned, with arguments[...]

sub js {
	my ($self, $script, @args) = @_;
	return $self->send('execute/sync', { script => $script, args => \@args });
}


# until an expression is true

sub until {
	my ($self, $expression, @args) = @_;
	return wait_for(sub { $self->js("return $expression", @args) });
}


# as a user does it: the element must be in view and not covered

sub element {
	my ($self, $css) = @_;
	return (values %{$self->send('element',
		{ using => 'css selector', value => $css })})[0];
}


sub click {
	my ($self, $css) = @_;
	$self->send('element/' . $self->element($css) . '/click');
}


sub type {
	my ($self, $css, $text) = @_;
	my $id = $self->element($css);
	$self->send("element/$id/clear");
	$self->send("element/$id/value", { text => $text });
}


sub press {
	my ($self, @keys) = @_;
	$self->send('actions', { actions => [ { type => 'key', id => 'keyboard',
		actions => [ map { { type => 'keyDown', value => $_ },
			{ type => 'keyUp', value => $_ } } @keys ] } ] });
}


# Chromium's own commands

sub cdp {
	my ($self, $cmd, $params) = @_;
	return $self->send('goog/cdp/execute',
		{ cmd => $cmd, params => $params || {} });
}


# a window of that size, a phone if it is one; the theme "light" or "dark"

sub screen {
	my ($self, $width, $height, %o) = @_;

	$self->cdp('Emulation.setDeviceMetricsOverride', {
		width => $width, height => $height, deviceScaleFactor => 1,
		mobile => $o{phone} ? JSON::PP::true : JSON::PP::false });

	$self->cdp('Emulation.setEmulatedMedia', { features => [
		{ name => 'prefers-color-scheme', value => $o{theme} || 'light' } ] });
}


sub screenshot {
	my ($self, $file) = @_;

	my $png = decode_base64($self->ask('GET', "$self->{session}/screenshot"));

	CORE::open my $fh, '>', $file or die "$file: $!";
	binmode $fh;
	print $fh $png;
	close $fh;
}


# what was written to the console since the last call

sub console {
	my ($self) = @_;
	return map { "$_->{level}: $_->{message}" }
		@{$self->send('se/log', { type => 'browser' })};
}


sub quit {
	my ($self) = @_;
	my $session = delete $self->{session} or return;
	eval { $self->ask('DELETE', $session) };
}

###############################################################################

1;

###############################################################################
