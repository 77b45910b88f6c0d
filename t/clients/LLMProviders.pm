package LLMProviders;

# Copyright (C) the NGINX LLM balancer authors

# Providers that refuse what the real ones refuse: another form of the key's
# header, what tells about the client, fields they do not know, metadata that
# is not theirs. Each has a key that is out of requests now and then, and one
# that works.

###############################################################################

use warnings;
use strict;

use JSON::PP;

use LLMTest;
use LLMUpstream;

###############################################################################

# name, port, base URL behind the host

my @providers = (
	['openai', 8081, '/v1'],
	['gemini', 8082, ''],
	['mistral', 8083, ''],
	['openrouter', 8084, '/api/v1'],
	['anthropic', 8085, ''],
	['groq', 8086, '/openai/v1'],
);

my @chat = qw/messages model stream stream_options temperature top_p tools
	tool_choice parallel_tool_calls max_tokens max_completion_tokens stop
	n seed response_format reasoning_effort user frequency_penalty
	presence_penalty logprobs top_logprobs/;

my %fields = (
	openai => [@chat, qw/store metadata logit_bias modalities audio
		prediction service_tier safety_identifier prompt_cache_key
		prompt_cache_retention verbosity web_search_options functions
		function_call/],
	gemini => \@chat,
	mistral => [(grep { !/^(seed|user|stream_options|reasoning_effort
		|max_completion_tokens|logprobs|top_logprobs)$/x } @chat),
		qw/random_seed safe_prompt metadata prediction prompt_mode
		guardrails/],
	groq => [@chat, qw/metadata service_tier search_settings documents
		include_reasoning reasoning_format compound_custom citation_options
		disable_tool_validation/],
	native => [qw/contents systemInstruction system_instruction tools
		toolConfig tool_config generationConfig generation_config
		safetySettings safety_settings cachedContent/],
	anthropic => [qw/model messages max_tokens metadata stop_sequences stream
		system temperature thinking tool_choice tools top_k top_p
		service_tier container context_management mcp_servers
		output_config/],
);


# starts all of them: a hash by name, and their variables of the environment

sub start {
	my ($t) = @_;

	my (%up, %env);

	for my $provider (@providers) {
		my ($name, $port, $base) = @$provider;

		$up{$name} = LLMUpstream->start($t, $port, sub {
			return answer($name, @_) });

		$env{uc $name . '_API_KEYS'} = "sk-$name-limited,sk-$name-good";
		$env{uc $name . '_API_BASE'} = 'http://127.0.0.1:' . port($port)
			. $base;
	}

	return (\%up, \%env);
}


sub answer {
	my ($name, $request) = @_;

	my $path = $request->{path};
	my $native = $name eq 'gemini' && $path !~ m!^/v1beta/openai/!;

	my $messages = $name eq 'anthropic' && $path ne '/v1/chat/completions';

	my $auth = $native ? 'goog' : $messages ? 'x_api_key' : 'bearer';

	my $limited = $request->{key} eq "sk-$name-limited";

	# the id of an upload is key enough, and comes straight from some libraries

	return native($request) if $native && $path eq '/upload/v1beta/files'
		&& $request->{args} =~ /upload_id=u1/
		&& "$request->{head}$request->{body}" !~ /sk-master/;

	my $refused = LLMUpstream::refuses($request, auth => $auth,
		keys => ["sk-$name-limited", "sk-$name-good"],
		host => '127.0.0.1:' . port({ map { @$_[0, 1] } @providers }->{$name}));

	return $refused if $refused;

	return refuse($name, 400, 'the master key is here')
		if "$request->{head}$request->{body}" =~ /sk-master/;

	return refuse($name, 400, 'anthropic-version: header is required')
		if $name eq 'anthropic' && !$request->{headers}{'anthropic-version'};

	return { status => 429, headers => ['Retry-After' => 1], json => {
		error => { message => 'Rate limit reached', type => 'requests',
		code => 'rate_limit_exceeded' } } } if $limited;

	return native($request) if $native;
	return messages($request) if $messages;

	my ($root, $what) = $path =~ m!^(.*?/v1(?:beta/openai)?)/(.*)! or return
		refuse($name, 404, "no such path: $path");

	return refuse($name, 404, "no such root: $root") if $root ne {
		openai => '/v1', gemini => '/v1beta/openai', mistral => '/v1',
		openrouter => '/api/v1', groq => '/openai/v1', anthropic => '/v1'
		}->{$name};

	return { json => { object => 'list', data => [{ id => "$name-model",
		object => 'model', created => 1, owned_by => $name }] } }
		if $what eq 'models';

	return { json => { object => 'list', data => [stored($name)],
		has_more => JSON::PP::false, total => 1 } }
		if $what eq 'files' && $request->{method} eq 'GET';

	return refuse($name, 422, 'no file')
		if $what =~ /^(files|audio)/ && $request->{body} !~ /filename=/;

	return { json => stored($name) } if $what eq 'files';

	return { json => { text => 'Gr' . chr(252) . chr(223) . 'e' } }
		if $what eq 'audio/transcriptions';

	my $body = json($request) or return refuse($name, 400, 'no JSON');

	return refuse($name, 400, "no model of ours: $body->{model}")
		if ($body->{model} || '') =~ m!^(openai|gemini|mistral|groq)/!
			&& $name !~ /^(openrouter|groq)$/;

	return refuse($name, 400, "no model: $body->{model}")
		if $name eq 'openrouter' && $body->{model} !~ m!^\w+/[\w.-]+$!;

	return { status => 404, json => { error => { message => 'The model does '
		. 'not exist', param => undef, type => 'invalid_request_error',
		code => 'model_not_found' } } } if $body->{model} eq 'nobody-knows';

	return embeddings($body) if $what eq 'embeddings';

	return responses($body)
		if $name eq 'openai' && $what eq 'responses';

	return refuse($name, 404, "no such path: $path")
		if $what ne 'chat/completions';

	my $unknown = $name ne 'anthropic' && unknown($name, $body);
	return refuse($name, $name eq 'mistral' ? 422 : 400, $unknown)
		if $unknown;

	return refuse($name, 400, "The 'metadata' parameter is only allowed when "
		. "'store' is enabled.")
		if $name eq 'openai' && $body->{metadata} && !$body->{store};

	return refuse($name, 400, "Invalid type for 'metadata'")
		if $name eq 'openai' && grep { ref || !defined }
			%{$body->{metadata} || {}};

	return { status => 400, json => { error => { message => 'This model\'s '
		. 'maximum context length is 10 tokens.', param => 'messages', type =>
		'invalid_request_error', code => 'context_length_exceeded' } } }
		if $request->{body} =~ /too-long/;

	return chat_answer($name, $body);
}


# what is stored has metadata, and an answer is stored unless it is not to be

sub responses {
	my ($body) = @_;

	return refuse('openai', 400, "Invalid type for 'metadata'")
		if grep { ref || !defined } %{$body->{metadata} || {}};

	return { json => { id => 'resp_1', object => 'response', created_at => 1,
		status => 'completed', model => $body->{model}, error => undef,
		incomplete_details => undef, instructions => undef, metadata => {},
		parallel_tool_calls => JSON::PP::true, temperature => 1.0, top_p => 1,
		tool_choice => 'auto', tools => [], usage => { input_tokens => 3,
		output_tokens => 4, total_tokens => 7, input_tokens_details =>
		{ cached_tokens => 0 }, output_tokens_details =>
		{ reasoning_tokens => 0 } }, output => [{ type => 'message', id =>
		'msg_1', role => 'assistant', status => 'completed', content =>
		[{ type => 'output_text', text => text('openai'),
		annotations => [] }] }] } };
}


sub unknown {
	my ($name, $body) = @_;

	my $list = $fields{$name} or return;
	my %known = map { $_ => 1 } @$list;
	my ($field) = grep { !$known{$_} } sort keys %$body;

	return $field && "Invalid JSON payload received. Unknown name \"$field\": "
		. 'Cannot find field.';
}


sub refuse {
	my ($name, $status, $message) = @_;

	my $error = { error => { code => $status, message => $message,
		status => 'INVALID_ARGUMENT', type => 'invalid_request_error',
		param => undef } };

	return { status => $status, json => $name eq 'gemini' ? [$error]
		: $name eq 'anthropic' ? { type => 'error', error => { type =>
		'invalid_request_error', message => $message } } : $error };
}


sub text { return "Gr\x{fc}\x{df}e, $_[0]"; }


sub stored {
	my ($name) = @_;
	return { id => "file-$name", object => 'file', bytes => 3, created_at => 1,
		filename => 'a.jsonl', purpose => 'batch', status => 'processed',
		sample_type => 'batch_request', source => 'upload' };
}


sub encoded { return JSON::PP->new->canonical->utf8->encode($_[0]); }


sub embeddings {
	my ($body) = @_;

	my $input = ref $body->{input} ? $body->{input} : [$body->{input}];

	# libraries ask for floats as bytes

	my @vectors = map { ($body->{encoding_format} || '') eq 'base64'
		? do { require MIME::Base64;
			MIME::Base64::encode_base64(pack('f<2', $_, 0.5), '') }
		: [$_, 0.5] } 0 .. $#$input;

	return { json => { object => 'list', model => $body->{model}, id => 'e',
		usage => { prompt_tokens => 2, total_tokens => 2,
		completion_tokens => 0 }, data => [map { { object => 'embedding',
		index => $_, embedding => $vectors[$_] } } 0 .. $#$input] } };
}


sub chat_answer {
	my ($name, $body) = @_;

	my %head = (id => 'c', created => 1, model => $body->{model});
	my $usage = { prompt_tokens => 3, completion_tokens => 4,
		total_tokens => 7 };

	my $call = { index => 0, id => 'call00001', type => 'function',
		function => { name => 'look_up', arguments => '{"city":"K'
		. chr(246) . 'ln"}' } };

	if ($body->{stream}) {
		my @words = split /(?<= )/, text($name);
		my @events = map { +{ %head, object => 'chat.completion.chunk',
			choices => [{ index => 0, finish_reason => undef,
			delta => { role => 'assistant', content => $_ } }] } } @words;

		return { events => [map({ encoded($_) } @events),
			encoded({ %head, object => 'chat.completion.chunk', choices =>
			[{ index => 0, delta => {}, finish_reason => 'stop' }],
			usage => $usage }), '[DONE]'] };
	}

	return { json => { %head, object => 'chat.completion', usage => $usage,
		choices => [{ index => 0, finish_reason => $body->{tools}
		? 'tool_calls' : 'stop', message => { role => 'assistant',
		content => text($name), $body->{tools}
		? (tool_calls => [$call]) : () } }] } };
}


# Gemini's own paths

sub native {
	my ($request) = @_;

	my $path = $request->{path};

	if ($path eq '/upload/v1beta/files') {
		my $command = $request->{headers}{'x-goog-upload-command'} || '';

		return { json => {}, headers => ['X-Goog-Upload-Status' => 'active',
			'X-Goog-Upload-URL' => "http://$request->{headers}{host}"
			. '/upload/v1beta/files?upload_id=u1&upload_protocol=resumable'] }
			if $command eq 'start';

		return refuse('gemini', 400, "no such upload: $command")
			if $command !~ /upload/ || $request->{args} !~ /upload_id=u1/;

		return { json => { file => { name => 'files/gemini', uri =>
			'https://files/gemini', mimeType => 'text/plain', sizeBytes =>
			length $request->{body} } }, headers =>
			['X-Goog-Upload-Status' => 'final'] };
	}

	return { json => { models => [{ name => 'models/gemini-model',
		displayName => 'Model' }] } } if $path eq '/v1beta/models';

	my $body = json($request) or return refuse('gemini', 400, 'no JSON');

	return { json => { embeddings => [map { { values => [$_, 0.5] } }
		0 .. @{$body->{requests}} - 1] } }
		if $path =~ m!^/v1beta/models/[\w.-]+:batchEmbedContents$!;

	return refuse('gemini', 404, "no such path: $path")
		unless $path =~ m!^/v1beta/models/[\w.-]+:
			(stream)?[gG]enerateContent$!x;

	my $stream = $1;
	my $unknown = unknown('native', $body);
	return refuse('gemini', 400, $unknown) if $unknown;

	my @parts = $body->{tools} ? { functionCall => { name => 'look_up',
		args => { city => "K\x{f6}ln" } } } : { text => text('gemini') };

	my $answer = { candidates => [{ index => 0, finishReason => 'STOP',
		content => { role => 'model', parts => \@parts } }],
		modelVersion => 'x', responseId => 'r', usageMetadata =>
		{ promptTokenCount => 3, candidatesTokenCount => 4,
		totalTokenCount => 7 } };

	return $stream ? { events => [encoded($answer)] } : { json => $answer };
}


# Anthropic's own paths

sub messages {
	my ($request) = @_;

	my $path = $request->{path};

	return { json => { id => 'file_a', type => 'file', filename => 'a.txt',
		mime_type => 'text/plain', size_bytes => 3, downloadable =>
		JSON::PP::false, created_at => '2025-01-01T00:00:00Z' } }
		if $path eq '/v1/files' && $request->{body} =~ /filename=/;

	return { json => { data => [{ id => 'anthropic-model', type => 'model',
		display_name => 'Model', created_at => '2025-01-01T00:00:00Z' }],
		has_more => JSON::PP::false, first_id => 'anthropic-model',
		last_id => 'anthropic-model' } } if $path eq '/v1/models';

	return refuse('anthropic', 404, "no such path: $path")
		if $path ne '/v1/messages';

	my $body = json($request) or return refuse('anthropic', 400, 'no JSON');

	my $unknown = unknown('anthropic', $body);
	return refuse('anthropic', 400, $unknown) if $unknown;

	return refuse('anthropic', 400, 'metadata: extra inputs')
		if grep { $_ ne 'user_id' } keys %{$body->{metadata} || {}};

	my $text = text('anthropic');
	my $usage = { input_tokens => 3, output_tokens => 4 };
	my %head = (id => 'm', type => 'message', role => 'assistant',
		model => $body->{model}, stop_sequence => undef, usage => $usage);

	my $content = $body->{tools} ? { type => 'tool_use', id => 'toolu_1',
		name => 'look_up', input => { city => "K\x{f6}ln" } }
		: { type => 'text', text => $text };

	return { json => { %head, content => [$content], stop_reason =>
		$body->{tools} ? 'tool_use' : 'end_turn' } } unless $body->{stream};

	my @events = (
		{ type => 'message_start', message => { %head, content => [],
			stop_reason => undef } },
		{ type => 'content_block_start', index => 0, content_block =>
			{ type => 'text', text => '' } },
		map({ { type => 'content_block_delta', index => 0, delta =>
			{ type => 'text_delta', text => $_ } } }
			split /(?<= )/, $text),
		{ type => 'content_block_stop', index => 0 },
		{ type => 'message_delta', delta => { stop_reason => 'end_turn',
			stop_sequence => undef }, usage => $usage },
		{ type => 'message_stop' },
	);

	return { headers => ['Content-Type' => 'text/event-stream'],
		body => join '', map { "event: $_->{type}\ndata: " . encoded($_)
		. "\n\n" } @events };
}

###############################################################################

1;

###############################################################################
