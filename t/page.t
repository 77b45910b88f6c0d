#!/usr/bin/perl

# Copyright (C) the NGINX LLM balancer authors

# Tests for the status page in a real browser, with numbers that are scripted.
# TEST_NGINX_SCREENSHOT=directory renews the picture of the README and puts
# more of them into that directory.

###############################################################################

use warnings;
use strict;

use Digest::SHA qw/sha256_base64 sha256_hex/;
use File::Copy qw/copy/;
use JSON::PP;
use Test::More;
use Time::HiRes qw/sleep time/;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use LLMTest;
use LLMBrowser;
use LLMUpstream;

###############################################################################

plan(skip_all => 'a browser under valgrind tells nothing')
	if $ENV{TEST_NGINX_VALGRIND};

my $missing = LLMBrowser::missing();
plan(skip_all => "no browser: $missing") if $missing;

my $t = LLMTest->new();
my $d = $t->testdir();
my $shots = $ENV{TEST_NGINX_SCREENSHOT};

# the page comes from the module, the numbers from a script

$t->balancer(http => <<'EOF', server => <<'EOF');

    upstream openai {
        llm_provider openai base=http://127.0.0.1:8081/v1;
        llm_key sk-1,sk-2,sk-3;
    }

EOF

        llm_client_key master name=tester;
        llm_admin_key admin name=boss;

        location = /own {
            llm_status;
        }

        location = /status {
            llm_status;
            error_page 418 = @script;

            if ($arg_format) {
                return 418;
            }

            if ($request_method = POST) {
                return 418;
            }
        }

        location @script {
            llm_balancer off;
            proxy_pass http://127.0.0.1:8081;
        }

EOF

my $html = do {
	open my $fh, '<', "$LLMTest::ROOT/src/status.html" or die $!;
	local $/;
	<$fh>;
};

my ($style) = $html =~ m!<style>(.*?)</style>!s;
my ($script) = $html =~ m!<script>(.*?)</script>!s;

my $policy = sprintf "default-src 'none'; script-src 'sha256-%s='; "
	. "style-src 'sha256-%s='; connect-src 'self'; img-src data:; "
	. "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	sha256_base64($script), sha256_base64($style);

###############################################################################

# upstream, provider, key, group, tier, state, reason, by, seconds, weight,
# share, requests left of, tokens left of, 429, errors

my @keys = map { [ split ] } grep { /\S/ } split /\n/, <<'EOF';
openai openai openai-1 org-a primary usable - - 0 1 .31 8420/10000 1640000/2000000 12 0
openai openai openai-2 org-a primary usable - - 0 1 .30 4110/10000 310000/2000000 31 1
openai openai openai-3 org-b primary cooling rate_limited provider 47 1 .22 0/5000 61000/800000 212 3
openai openai openai-4 org-b backup usable - - 0 1 .17 4980/5000 798000/800000 0 0
anthropic anthropic claude-prod - primary usable - - 0 2 .64 3520/4000 372000/400000 4 0
anthropic anthropic claude-dev - primary cooling overloaded provider 8 1 .36 1750/2000 21000/80000 57 9
gemini gemini gemini-1 proj-1 primary finished quota_exhausted provider 11520 1 .34 0/1500 - 388 2
gemini gemini gemini-2 proj-2 primary usable - - 0 1 .33 268/1500 - 41 0
gemini gemini gemini-3 proj-3 primary usable - - 0 1 .33 911/1500 - 17 0
mistral mistral mistral-eu - primary draining - operator 0 1 0 - 410000/500000 6 0
mistral mistral mistral-us - primary usable - - 0 1 1 - 288000/500000 8 1
azure-we azure azure-we team-x primary usable - - 0 1 .5 2210/2700 402000/450000 0 0
azure-ne azure azure-ne team-x primary parked billing operator 0 1 0 2700/2700 450000/450000 0 14
openrouter openrouter router-1 - primary down invalid_key provider 0 1 0 - - 0 40
EOF

# what the tests say is in a file: n copies, admin, a clock that jumps

my %knobs = (n => 1, admin => JSON::PP::true, step => 0, status => 200);

sub knobs {
	%knobs = (%knobs, @_);
	$t->write_file('knobs.new', JSON::PP->new->encode(\%knobs));
	rename "$d/knobs.new", "$d/knobs";
}

knobs();

my $begin = time();
my ($polls, %done, %grown) = (0);

my $up = LLMUpstream->start($t, 8081, sub {
	my ($request) = @_;
	my $k = JSON::PP->new->decode($t->read_file('knobs'));
	my %args = $request->{args} =~ /(\w+)=([^&]*)/g;

	if ($request->{method} eq 'POST') {
		return { status => 403, json => { error => 'no' } } if $k->{forbid};
		$done{$args{key}} = $args{action};
		return { json => { status => 'ok' } };
	}

	return { json => {}, status => $k->{status} } if $k->{status} != 200;

	$polls++ if $k->{step};
	return { json => numbers($k) };
});

sub numbers {
	my ($k) = @_;

	my $time = time() + $polls * $k->{step};
	my $ran = $time - $begin;
	my (%up, @up, $n);

	my %sum = map { $_ => 0 } qw/keys usable requests tries refused errors
		tokens in_flight queued/;

	for my $copy (1 .. $k->{n}) {
		for (@keys) {
			my ($name, $provider, $key, $group, $tier, $state, $reason, $by,
				$left, $weight, $share, $req, $tok, $refused, $errors) = @$_;

			$key .= "-$copy" if $copy > 1;
			s/^-$// for $group, $reason, $by;

			if (my $did = $done{$key}) {
				$state = { park => 'parked', drain => 'draining',
					restore => 'usable' }->{$did};
				($reason, $left) = ('', 0);
				$by = $did eq 'restore' ? '' : 'operator';
			}

			# a cooldown ends later than the tests, for the long ones stand

			if ($left && $left < 1000) {
				$left += 200 - (time() - $begin) if !$k->{step};
				$left = $left > 1 ? sprintf '%d', $left : 1;
			}

			my $live = $state eq 'usable' ? 1 : 0;
			my $pace = ($live ? 3 : 0.5) * ($share || 0.02);
			$pace = 0 if $state =~ /parked|down/;
			$n++;

			# even growth or, where the clock jumps, some weather

			my $pulse = 1 + .45 * sin($ran / 37 + $n)
				+ .25 * sin($ran / 11 + 2 * $n);
			my $more = int($k->{step}
				? $grown{$key} += $k->{step} * $pace * $pulse
				: $ran * $pace);

			$refused += int($more / ($refused > 100 ? 6 : 19))
				if $k->{step} && $refused > 10;
			$errors += int($more / 60) if $k->{step} && $refused > 50;

			my $requests = int(40000 * $share + $more);

			my %key = (name => $key, group => $group, tier => $tier,
				fingerprint => substr(sha256_hex($key), 0, 12),
				state => $state, reason => $reason, by => $by,
				retry_after => $left + 0,
				weight => $weight + 0, share_expected => $share + 0,
				share => $share * ($state eq 'cooling' ? .8
					: $share < .9 ? 1.03 : 1),
				in_flight => $live ? int(1 + 9 * $share) : 0,
				max_conns => $tier eq 'backup' ? 16 : 0,
				requests => $requests, tries => $requests + $refused,
				outs => 3, last_used => $state eq 'parked' ? $time - 7300
					: $state eq 'down' ? 0 : $time - ($live ? .4 : 31),
				verdicts => { ok => $requests, wait => $refused + 0,
					finished => $state eq 'finished' ? 1 : 0,
					ill => $errors + 0, elsewhere => 2 },
				tokens => { input => 1830 * $requests,
					output => 411 * $requests, cached => 900,
					reasoning => 17 });

			for (['requests', $req], ['tokens', $tok]) {
				my ($what, $text) = @$_;
				my ($remaining, $limit) = $text =~ m!(\d+)/(\d+)! or next;
				push @{$key{limits}}, { what => $what, limit => $limit + 0,
					remaining => $remaining + 0, reset => 34,
					told => $name eq 'gemini' ? JSON::PP::false
						: JSON::PP::true };
			}

			$key{models} = [ { model => 'gpt-4o', state => 'cooling',
				retry_after => 19, limits => [] }, { model => 'gpt-4o-mini',
				state => 'usable', retry_after => 0 } ]
				if $key eq 'openai-2';

			if (!$up{$name}) {
				push @up, $up{$name} = { name => $name,
					provider => $provider, base => "https://$name.example",
					policy => 'headroom', retry_after => 0, keys => [],
					state => 'closed' };
				@{$up{$name}}{qw/state retry_after/} = ('open', 25)
					if $name eq 'openrouter';
			}

			push @{$up{$name}{keys}}, \%key;

			$sum{keys}++;
			$sum{usable} += $live;
			$sum{requests} += $key{requests};
			$sum{tries} += $key{tries};
			$sum{refused} += $refused;
			$sum{errors} += $errors;
			$sum{in_flight} += $key{in_flight};
			$sum{tokens} += 2241 * $requests;
		}
	}

	$sum{queued} = $k->{queued}
		// ($k->{step} ? int(4 + 8 * sin($ran / 29)) : 0);
	$sum{queued} = 0 if $sum{queued} < 0;

	if ($k->{fixed}) {
		$sum{requests} = int(1000 + 20 * $ran);
		$sum{tokens} = int(10000 + 100 * $ran);
		$sum{refused} = int(10 + $ran);
	}

	$up[0]{keys}[0]{group} = $k->{evil} if $k->{evil};

	return { version => '0.1.0', time => $time, since => $begin - 277000,
		admin => $k->{admin}, summary => \%sum, upstreams => \@up,
		models => [], clients => [],
		zone => { size => 4194304, nodes => 64, capacity => 4096 } };
}

###############################################################################

my $url = 'http://user:master@127.0.0.1:' . port(8080) . '/status';

$t->run();

my $b = LLMBrowser->start($t, 8090);
END { local $?; $b->quit() if $b }

$t->plan(88);

my %cell = (key => 0, provider => 1, state => 2, requests_left => 3,
	tokens_left => 4, flight => 5, share => 6, requests => 7, errors => 8,
	tokens => 9, used => 10, spark => 11, acts => 12);

# the text of a cell, as it is seen

sub cell {
	my ($key, $cell) = @_;
	return $b->js('const r = document.querySelector('
		. '`tr[data-key="${arguments[0]}"]`);'
		. 'return r ? r.cells[arguments[1]].innerText : null', $key,
		$cell{$cell});
}

sub tile {
	my ($id) = @_;
	return $b->js('return document.querySelector(`#tile-${arguments[0]} .big`)'
		. '.textContent', $id);
}

sub text {
	my ($css) = @_;
	return $b->js('return document.querySelector(arguments[0]).innerText',
		$css);
}

# names of the rows that are seen, in their order

sub names {
	return @{$b->js('return Array.from(document.querySelectorAll("#rows tr"))'
		. '.filter((r) => !r.hidden).map((r) => r.dataset.key)')};
}

sub choose {
	my ($css, $value) = @_;
	$b->js('const e = document.querySelector(arguments[0]);'
		. 'e.value = arguments[1]; e.dispatchEvent(new Event("change"))',
		$css, $value);
}

sub posts { grep { $_->{method} eq 'POST' } $up->requests() }

my $rows = 'document.querySelectorAll("#rows tr").length';

###############################################################################

# the headers

my $r = get('/status', headers => [Accept => 'text/html']);

is($r->{status}, 200, 'page');
ok($r->{body} eq $html, 'as it is in the source');
is($r->{headers}{'content-type'}, 'text/html; charset=utf-8', 'type');
is($r->{headers}{'content-security-policy'}, $policy, 'policy');
is($r->{headers}{'x-content-type-options'}, 'nosniff', 'no sniffing');
is($r->{headers}{'x-frame-options'}, 'DENY', 'no frame');
is($r->{headers}{'referrer-policy'}, 'same-origin', 'referrer');
is($r->{headers}{'cache-control'}, 'no-store', 'not stored');

$r = request('HEAD', '/status', key => 'master',
	headers => [Accept => 'text/html']);
is($r->{body}, '', 'HEAD');

unlike($html, qr/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/,
	'data is text only');
unlike($html =~ s!http://www\.w3\.org/2000/svg!!gr, qr!https?://!,
	'nothing from elsewhere');

# states and what belongs to them

$b->screen(1500, 980);
$b->open($url);
ok($b->until("$rows === 14"), 'a row a key') or diag(join "\n", $b->console());

is(tile('keys'), '8 of 14', 'usable keys');
like(cell('openai-1', 'key'), qr/^openai-1\s+org-a\s+\x{2022}{4}[0-9a-f]{12}$/,
	'name, fingerprint, group');
like(cell('openai-4', 'key'), qr/backup/, 'tier');
is(cell('openai-1', 'state'), 'usable', 'usable');
like(cell('openai-3', 'state'), qr/^cooling\s*[34]:\d\d\n.*rate limited, by p/s,
	'cooling');
like(cell('gemini-1', 'state'), qr/^finished\s*3 h 1[12] m\nquota exhausted/,
	'finished');
like(cell('router-1', 'state'), qr/^down\ninvalid key/, 'down');
like(cell('azure-ne', 'state'), qr/^parked\nbilling, by operator/, 'parked');
like(cell('mistral-eu', 'state'), qr/^draining/, 'draining');
like(cell('openai-2', 'state'), qr/gpt-4o 1\d s/, 'a model of a key');
unlike(cell('openai-2', 'state'), qr/mini/, 'not one that is usable');
like(cell('router-1', 'provider'), qr/^openrouter\s+open 2\d s$/, 'open upstream');
is(cell('azure-we', 'provider'), "azure\nazure-we", 'provider and upstream');
is(cell('openai-1', 'requests_left'), '8,420 / 10k', 'requests left');
is(cell('openai-1', 'tokens_left'), '1.64M / 2M', 'tokens left');
like(cell('gemini-2', 'requests_left'), qr/\x{2248} 268/, 'by own counting');
is(cell('gemini-2', 'tokens_left'), "\x{2013}", 'not known');
is(cell('openai-4', 'flight'), "2\nof 16", 'in flight');
is(cell('openai-3', 'share'), '18% / 22%', 'share');
is(cell('openai-3', 'errors'), "3\n212 \x{d7} 429", 'errors and refusals');
is(cell('router-1', 'used'), 'never', 'never used');
is(cell('azure-ne', 'used'), '2 h ago', 'used long ago');

is($b->js('return document.querySelector(`tr[data-key="openai-1"] .quota i`)'
	. '.style.width'), '84.2%', 'bar');
is($b->js('return document.querySelector(`tr[data-key="openai-3"] .bar`)'
	. '.className'), 'bar bad', 'an empty one');

# rates come from successive totals

knobs(fixed => 1, queued => 3);
$b->open('about:blank');
$b->open($url);
$b->until("$rows === 14");
sleep 4.5;
ok(abs(tile('rps') - 20) < 2, 'requests a second') or diag(tile('rps'));
ok(abs(tile('tpm') =~ s/,//r - 6000) < 600, 'tokens a minute')
	or diag(tile('tpm'));
ok(abs(tile('refused') - 60) < 20, 'refusals a minute')
	or diag(tile('refused'));
is(tile('queue'), '3', 'queue');
knobs(fixed => 0, queued => undef);

# the countdown goes on between two answers

$b->click('#pause');
is(text('#link'), 'paused', 'paused');
sleep 0.3;
$up->clear();

sub seconds { cell('openai-3', 'state') =~ /(\d+):(\d+)/ ? 60 * $1 + $2 : -1 }

my $one = seconds();
sleep 2.2;
my $two = seconds();
ok($one - $two >= 2 && $one - $two <= 3, 'countdown') or diag("$one $two");
is(scalar $up->requests(), 0, 'nothing was asked meanwhile');
$b->click('#pause');
ok(wait_for(sub { scalar $up->requests() }), 'resumed');

# filters

$b->click('#failed');
is(join(' ', names()), 'openai-3 claude-dev gemini-1 mistral-eu azure-ne '
	. 'router-1', 'failed only');
choose('#provider', 'openai');
is(join(' ', names()), 'openai-3', 'of a provider');
like($b->js('return location.hash'), qr/failed=1&provider=openai/, 'bookmark');

$b->open('about:blank');
$b->open("$url#failed=1&provider=openai");
$b->until("$rows === 14");
is(join(' ', names()), 'openai-3', 'a bookmark is followed');

$b->click('#failed');
choose('#provider', '');
$b->type('#text', 'ORG-b');
is(join(' ', names()), 'openai-3 openai-4', 'text');
$b->type('#text', 'nothing like it');
is(join(' ', names()), '', 'no key');
is(text('#none'), 'No key matches the filters.', 'says so');
$b->type('#text', ' ');

# order, by mouse and by keyboard

$b->click('th:nth-child(8) button');
is((names())[0], 'mistral-us', 'most requests first');
is($b->js('return document.querySelector("th:nth-child(8)")'
	. '.getAttribute("aria-sort")'), 'descending', 'said to screen readers');

$b->js('document.querySelector("th:nth-child(3) button").focus()');
$b->press("\x{e007}");
is((names())[0], 'router-1', 'worst state first');
$b->click('th:nth-child(3) button');
$b->click('th:nth-child(3) button');
is((names())[0], 'openai-1', 'the third time as configured');

# data is never markup

knobs(evil => '<img src=x onerror=document.title=1><b>x</b>');
ok(wait_for(sub { cell('openai-1', 'key') =~ /<img src=x/ }), 'shown as text');
is($b->js('return document.querySelectorAll("#rows img").length'), 0,
	'not as an element');
knobs(evil => undef);

# buttons

$up->clear();
$b->click('tr[data-key="openai-1"] [data-action=park]');
ok(wait_for(sub { scalar posts() }), 'a button posts');
my ($post) = posts();
is($post->{uri}, '/status?action=park&upstream=openai&key=openai-1', 'what');
like($post->{headers}{origin}, qr!^http://127\.0\.0\.1:\d+$!, 'its origin');
ok(wait_for(sub { cell('openai-1', 'state') =~ /^parked/ }),
	'and the row follows');
$b->click('tr[data-key="openai-1"] [data-action=restore]');
ok(wait_for(sub { cell('openai-1', 'state') eq 'usable' }), 'restored');
$b->click('tr[data-key="openai-1"] [data-action=drain]');
ok(wait_for(sub { cell('openai-1', 'state') =~ /^draining/ }), 'drained');
$b->click('tr[data-key="openai-1"] [data-action=restore]');
wait_for(sub { cell('openai-1', 'state') eq 'usable' });

is(join("\n", $b->console()), '', 'nothing on the console');

knobs(forbid => 1);
$b->click('tr[data-key="openai-2"] [data-action=park]');
ok($b->until('/admin key/.test(document.querySelector("#say").innerText)'),
	'a refusal is told');
is(cell('openai-2', 'state') =~ /^usable/, 1, 'and changes nothing');
knobs(forbid => 0, admin => JSON::PP::false);
ok($b->until('document.querySelector("#rows tr .acts").hidden'),
	'without an admin key there are no buttons');
knobs(admin => JSON::PP::true);

# the server fails, and is back

knobs(status => 500);
ok($b->until('/answer 500/.test(document.querySelector("#link").innerText)'),
	'a failure is told');
is(scalar(names()), 14, 'the last numbers stay');
knobs(status => 200);
ok($b->until('document.querySelector("#link").innerText === "live"'), 'back');
is(join("\n", grep { !/ (403|500) / } $b->console()), '',
	'nothing else on the console');

###############################################################################

# the picture: five minutes in a few seconds

sub picture {
	my ($name, $width, $height, %o) = @_;
	$b->screen($width, $height, %o);
	sleep 0.7;
	$b->screenshot("$d/$name.png");
	copy("$d/$name.png", "$shots/$name.png") if $shots;
}

knobs(step => 5);
$b->open('about:blank');
$b->open($url);
$b->until("$rows === 14");

for (1 .. 66) {
	$b->js('const p = document.querySelector("#pause"); p.click(); p.click()');
	sleep 0.06;
}

picture('status-dark', 1500, 980, theme => 'dark');
my $dark = $b->js('return getComputedStyle(document.body).backgroundColor');
picture('status-phone', 390, 844, phone => 1);
picture('status-tablet', 1024, 900);
picture('status', 1500, 980);
isnt($b->js('return getComputedStyle(document.body).backgroundColor'), $dark,
	'two themes');
copy("$d/status.png", "$LLMTest::ROOT/t/status.png") if $shots;

ok($b->js('return document.querySelector("#tile-rps path").getAttribute("d")')
	=~ tr/L// > 50, 'sparkline of the headline');
ok($b->js('return document.querySelector(`tr[data-key="openai-1"] td.spark '
	. 'path`).getAttribute("d")') =~ tr/L// > 50, 'and of a key');

# many keys, and screens of any width

knobs(step => 0, n => 15);
ok($b->until("$rows === 210"), 'a row for each of 210 keys');
my $took = $b->js('const t = performance.now();'
	. 'document.querySelector("#failed").click(); document.body.offsetHeight;'
	. 'document.querySelector("#failed").click(); document.body.offsetHeight;'
	. 'return performance.now() - t');
ok($took < 1500, 'filtered at once') or diag("$took ms");
$b->js('window.scrollTo(0, 3000)');
is($b->js('return document.querySelector("th").getBoundingClientRect().top'),
	0, 'the head stays in view');
picture('status-many', 1500, 980);

my @wide;

for my $width (320, 390, 600, 800, 1024, 1200, 1280, 1290, 1320, 1400, 1440, 1450, 1920) {
	$b->screen($width, 800, phone => $width < 700);
	my $over = $b->js('return document.documentElement.scrollWidth') - $width;
	push @wide, "$width: $over" if $over > 0;
}

is("@wide", '', 'no width scrolls sideways');

$b->screen(390, 844, phone => 1);
ok($b->js('const r = document.querySelector("#rows .acts button")'
	. '.getBoundingClientRect(); return r.height >= 30 && r.right <= 390'),
	'buttons for a thumb');
is(join("\n", $b->console()), '', 'nothing on the console');

# the module's own numbers

$b->screen(1500, 980);
$b->open($url =~ s!master(.*)/status!admin$1/own!r);
ok($b->until("$rows === 3"), 'own keys');
is(tile('keys'), '3 of 3', 'usable');
like(cell('openai-1', 'state'), qr/^usable/, 'state');
is(cell('openai-1', 'used'), 'never', 'not used yet');

$b->click('tr[data-key="openai-1"] [data-action=park]');
ok(wait_for(sub { cell('openai-1', 'state') =~ /^parked/ }), 'parked');
is(tile('keys'), '2 of 3', 'one less');
$b->click('tr[data-key="openai-1"] [data-action=restore]');
ok(wait_for(sub { tile('keys') eq '3 of 3' }), 'restored');
is(join("\n", $b->console()), '', 'nothing on the console');

$b->quit();
undef $b;

###############################################################################
