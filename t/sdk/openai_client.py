# Copyright (C) the NGINX LLM balancer authors

"""What an application does with the openai package; results as one JSON."""

import io
import json
import os

import openai

client = openai.OpenAI(
    base_url=os.environ["LLM_BASE_URL"],
    api_key=os.environ["LLM_API_KEY"],
    max_retries=0,
)

result = {"version": openai.__version__}


def step(name):
    """Records what a function returns, or how it failed."""

    def run(function):
        try:
            result[name] = function()
        except openai.APIStatusError as error:
            result[name] = {
                "class": type(error).__name__,
                "status": error.status_code,
                "code": error.code,
                "type": error.type,
                "message": error.message,
                "retry_after": error.response.headers.get("retry-after"),
            }
        except openai.OpenAIError as error:
            result[name] = {"class": type(error).__name__, "message": str(error)}

    return run


MESSAGES = [{"role": "user", "content": "Grüße \"model\": \U0001f600"}]


@step("chat")
def _():
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=MESSAGES, temperature=0.5
    )
    answer = raw.parse()
    return {
        "text": answer.choices[0].message.content,
        "tokens": answer.usage.total_tokens,
        "request_id": raw.headers.get("x-request-id"),
    }


@step("tools")
def _():
    answer = client.chat.completions.create(
        model="openai/gpt-4o",
        messages=MESSAGES,
        tools=[{
            "type": "function",
            "function": {
                "name": "model",
                "parameters": {
                    "type": "object",
                    "properties": {"model": {"type": "string"}},
                },
            },
        }],
    )
    return answer.choices[0].message.content


@step("stream")
def _():
    stream = client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True,
        stream_options={"include_usage": True},
    )
    text, usage = "", None
    for chunk in stream:
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
        usage = chunk.usage or usage
    return {"text": text, "tokens": usage.total_tokens}


@step("embeddings")
def _():
    answer = client.embeddings.create(
        model="text-embedding-3-small", input=["a", "b"]
    )
    return [item.embedding for item in answer.data]


@step("upload")
def _():
    audio = io.BytesIO(bytes(i % 251 for i in range(2_000_000)))
    audio.name = "speech.wav"
    answer = client.audio.transcriptions.create(model="whisper-1", file=audio)
    return answer.text


@step("models")
def _():
    return [model.id for model in client.models.list()]


@step("error")
def _():
    client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, user="too-long"
    )


@step("unknown")
def _():
    client.chat.completions.create(model="nobody-knows", messages=MESSAGES)


@step("unauthorized")
def _():
    client.with_options(api_key="wrong").chat.completions.create(
        model="gpt-4o", messages=MESSAGES
    )


@step("limited")
def _():
    # the pool of this provider has one key, which is out of requests
    client.chat.completions.create(model="mistral-large-latest", messages=MESSAGES)


@step("limited_again")
def _():
    client.chat.completions.create(model="mistral-large-latest", messages=MESSAGES)


print(json.dumps(result))
