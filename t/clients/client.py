# Copyright (C) the NGINX LLM balancer authors

"""What applications do with a package of PyPI; results as one JSON."""

import io
import json
import os
import sys

BASE = os.environ["LLM_BASE_URL"]
KEY = os.environ["LLM_API_KEY"]

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
MESSAGES = [{"role": "user", "content": "Grüße \"model\": \U0001f600"}]
TOOLS = [{
    "type": "function",
    "function": {"name": "look_up", "description": "x", "parameters": SCHEMA},
}]

result = {}


def step(name, function):
    """Records what a function returns, or how it failed."""

    try:
        result[name] = function()
    except Exception as error:  # pylint: disable=broad-except
        result[name] = f"{type(error).__name__}: {error}"


def copy(value):
    """Some packages change what they are given."""

    return json.loads(json.dumps(value))


def call(name, arguments):
    """A call of a function, in one form for all packages."""

    if isinstance(arguments, str):
        arguments = json.loads(arguments)

    return f"{name} {arguments['city']}"


def named(data, name):
    """A file to upload."""

    file = io.BytesIO(data)
    file.name = name
    return file


def chunks(stream):
    """The text of a stream as OpenAI has it."""

    return "".join(
        c.choices[0].delta.content or "" for c in stream if c.choices
    )


def compatible(client, model, embedding, upload):
    """The packages of OpenAI and of Groq."""

    create = client.chat.completions.create

    step("chat", lambda: create(
        model=model, messages=MESSAGES).choices[0].message.content)
    step("stream", lambda: chunks(create(
        model=model, messages=MESSAGES, stream=True)))

    def tools():
        answer = create(model=model, messages=MESSAGES, tools=TOOLS)
        function = answer.choices[0].message.tool_calls[0].function
        return call(function.name, function.arguments)

    step("tools", tools)
    step("embeddings", lambda: [item.embedding for item in
         client.embeddings.create(model=embedding, input=["a", "b"]).data])
    step("audio", lambda: client.audio.transcriptions.create(
        model="whisper-1" if upload else "whisper-large-v3",
        file=named(bytes(200_000), "a.wav")).text)
    step("list", lambda: [model.id for model in client.models.list().data])


def run_openai():
    """OpenAI: base with /v1."""

    import openai

    client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=0)

    compatible(client, "gpt-4o", "text-embedding-3-small", True)

    step("metadata", lambda: client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES,
        extra_body={"metadata": {"tags": ["a"]}},
    ).choices[0].message.content)
    step("upload", lambda: client.files.create(
        purpose="batch", file=named(b"{}\n", "a.jsonl")).id)
    step("files", lambda: [file.id for file in client.files.list()])

    gemini = openai.OpenAI(base_url=BASE + "/v1beta/openai/", api_key=KEY,
                           max_retries=0)

    step("gemini", lambda: gemini.chat.completions.create(
        model="gemini-2.5-flash", messages=MESSAGES,
        extra_body={"metadata": {"a": "b"}},
    ).choices[0].message.content)


def run_groq():
    """Groq: the package adds /openai/v1."""

    import groq

    compatible(groq.Groq(base_url=BASE + "/groq", api_key=KEY, max_retries=0),
               "openai/gpt-oss-120b", "nomic-embed-text-v1_5", False)


def run_anthropic():
    """Anthropic: the package adds /v1."""

    import anthropic

    client = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0)
    arguments = {"model": "claude-sonnet-4-5", "max_tokens": 100,
                 "messages": [{"role": "user", "content": "Grüße"}],
                 "metadata": {"user_id": "u"}}

    step("chat", lambda: client.messages.create(**arguments).content[0].text)

    def stream():
        with client.messages.stream(**arguments) as events:
            return "".join(events.text_stream)

    def tools():
        use = client.messages.create(**arguments, tools=[{
            "name": "look_up", "input_schema": SCHEMA}]).content[0]
        return call(use.name, use.input)

    step("stream", stream)
    step("tools", tools)
    step("list", lambda: [model.id for model in client.models.list()])

    client = anthropic.Anthropic(base_url=BASE + "/anthropic", api_key=KEY,
                                 max_retries=0)

    step("upload", lambda: client.beta.files.upload(
        file=("a.txt", b"abc", "text/plain")).id)
    step("models", lambda: [model.id for model in client.models.list()])


def run_google():
    """Gemini's own paths, with and without its name in front."""

    from google import genai
    from google.genai import types

    client = genai.Client(api_key=KEY,
                          http_options=types.HttpOptions(base_url=BASE))
    models = client.models

    step("chat", lambda: models.generate_content(
        model="gemini-2.5-flash", contents="Grüße").text)
    step("stream", lambda: "".join(
        c.text or "" for c in models.generate_content_stream(
            model="gemini-2.5-flash", contents="Grüße")))

    def tools():
        function = types.FunctionDeclaration(
            name="look_up", parameters_json_schema=SCHEMA)
        used = models.generate_content(
            model="gemini-2.5-flash", contents="Grüße",
            config=types.GenerateContentConfig(
                tools=[types.Tool(function_declarations=[function])]),
        ).function_calls[0]
        return call(used.name, used.args)

    step("tools", tools)
    step("embeddings", lambda: [item.values for item in models.embed_content(
        model="gemini-embedding-001", contents=["a", "b"]).embeddings])
    step("upload", lambda: client.files.upload(
        file=io.BytesIO(b"abc"), config={"mime_type": "text/plain"}).name)

    # what /v1/models lists is for the libraries of others

    beta = genai.Client(api_key=KEY, http_options=types.HttpOptions(
        base_url=BASE + "/gemini", api_version="v1beta"))

    step("list", lambda: [model.name for model in beta.models.list()])


def run_mistral():
    """Mistral: the package adds /v1; the prefix is for what has no model."""

    try:
        from mistralai import Mistral
    except ImportError:
        from mistralai.client import Mistral

    client = Mistral(server_url=BASE + "/mistral", api_key=KEY)
    plain = Mistral(server_url=BASE, api_key=KEY)
    arguments = {"model": "mistral-large-latest", "messages": MESSAGES,
                 "metadata": {"session_id": None, "tags": ["a"]}}

    step("chat", lambda: plain.chat.complete(
        **arguments).choices[0].message.content)
    step("stream", lambda: "".join(
        event.data.choices[0].delta.content or ""
        for event in plain.chat.stream(**arguments)))

    def tools():
        function = plain.chat.complete(
            **arguments, tools=TOOLS).choices[0].message.tool_calls[0].function
        return call(function.name, function.arguments)

    step("tools", tools)
    step("embeddings", lambda: [item.embedding for item in
         plain.embeddings.create(model="mistral-embed",
                                 inputs=["a", "b"]).data])
    step("upload", lambda: client.files.upload(
        file={"file_name": "a.jsonl", "content": b"{}\n"}).id)
    step("list", lambda: [file.id for file in client.files.list().data])


def run_litellm():
    """LiteLLM by itself, and as OpenHands calls it."""

    import litellm

    litellm.suppress_debug_info = True

    provider = {"api_key": KEY, "api_base": BASE}

    step("stream", lambda: chunks(litellm.completion(
        model="openai/gpt-4o", messages=MESSAGES, stream=True, **provider)))

    def tools():
        function = litellm.completion(
            model="gemini/gemini-2.5-flash", messages=MESSAGES,
            tools=copy(TOOLS), **provider,
        ).choices[0].message.tool_calls[0].function
        return call(function.name, function.arguments)

    step("tools", tools)
    step("embeddings", lambda: [item["embedding"] for item in
         litellm.embedding(model="openai/text-embedding-3-small",
                           input=["a", "b"], **provider).data])
    step("audio", lambda: litellm.transcription(
        model="openai/whisper-1", file=named(bytes(200_000), "a.wav"),
        **provider).text)
    step("upload", lambda: litellm.create_file(
        file=named(b"{}\n", "a.jsonl"), purpose="batch",
        custom_llm_provider="openai", **provider).id)
    step("list", lambda: [file.id for file in litellm.file_list(
        custom_llm_provider="openai", **provider).data])

    step("responses", lambda: litellm.responses(
        model="openai/gpt-5", input="Hello", store=False, temperature=1.0,
        include=["reasoning.encrypted_content"], tool_choice="auto",
        **provider).output[0].content[0].text)

    for base in (BASE, BASE + "/", BASE + "/v1"):
        for model in os.environ["MODELS"].split():
            step(f"{model} {base[len(BASE):]}",
                 lambda m=model, b=base: openhands(litellm, m, b))

    for model, text in (("cohere/command-r", "x"), ("cohere/command-r", "x"),
                        ("xai/grok-4", "x"), ("deepseek/deepseek-chat", "x"),
                        ("nobody-knows", "x"), ("gpt-4o", "too-long")):
        try:
            openhands(litellm, "litellm_proxy/" + model, BASE, text)
            result[f"error {model}"] = "none"
        except Exception as error:  # pylint: disable=broad-except
            result[f"error {model}"] = type(error).__name__


def openhands(litellm, model, base, text="Hello"):
    """The arguments that the LLM class of OpenHands gives."""

    arguments = {"max_completion_tokens": 100}

    # Mistral calls it max_tokens and refuses others, which is not changed

    if model.startswith("litellm_proxy/mistral/"):
        arguments = {}

    if "gemini-2.5-pro" in model:
        arguments["thinking"] = {"budget_tokens": 128}

    if "litellm_proxy" in model:
        arguments["extra_body"] = {"metadata": {
            "session_id": "s-1", "trace_version": "0.59.0",
            "trace_user_id": None, "tags": ["model:x", "agent:CodeActAgent"],
        }}

    if text != "Hello":
        arguments["max_retries"] = 0

    answer = litellm.completion(
        model=model, api_key=KEY, base_url=base, api_version=None,
        custom_llm_provider=None, timeout=None, drop_params=True, seed=None,
        temperature=0.0, top_p=1.0,
        messages=[
            {"content": [{"type": "text", "text": "You are OpenHands."}],
             "role": "system"},
            {"content": text, "role": "user"},
        ], **arguments)

    return answer.choices[0].message.content


globals()["run_" + sys.argv[1]]()

print("\n" + json.dumps(result))
