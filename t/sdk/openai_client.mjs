// Copyright (C) the NGINX LLM balancer authors

// What an application does with the openai package; results as one JSON.

import { File } from "node:buffer";
import OpenAI, { toFile } from "openai";

globalThis.File ??= File; // Node 18 has it, but not as a global

const client = new OpenAI({
  baseURL: process.env.LLM_BASE_URL,
  apiKey: process.env.LLM_API_KEY,
  maxRetries: 0,
});

const result = { version: process.version };

// Records what a function returns, or how it failed.

async function step(name, run) {
  try {
    result[name] = await run();
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) {
      throw error;
    }

    result[name] = {
      class: error.constructor.name,
      status: error.status,
      code: error.code,
      type: error.type,
      message: error.message,
      retry_after: error.headers?.get("retry-after"),
    };
  }
}

const messages = [{ role: "user", content: 'Grüße "model": \u{1f600}' }];

await step("chat", async () => {
  const { data, response } = await client.chat.completions
    .create({ model: "gpt-4o", messages, temperature: 0.5 })
    .withResponse();

  return {
    text: data.choices[0].message.content,
    tokens: data.usage.total_tokens,
    request_id: response.headers.get("x-request-id"),
  };
});

await step("tools", async () => {
  const answer = await client.chat.completions.create({
    model: "openai/gpt-4o",
    messages,
    tools: [{
      type: "function",
      function: {
        name: "model",
        parameters: { type: "object", properties: { model: { type: "string" } } },
      },
    }],
  });

  return answer.choices[0].message.content;
});

await step("stream", async () => {
  const stream = await client.chat.completions.create({
    model: "gpt-4o", messages, stream: true,
    stream_options: { include_usage: true },
  });

  let text = "", usage = null;

  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }

  return { text, tokens: usage.total_tokens };
});

await step("embeddings", async () => {
  const answer = await client.embeddings.create({
    model: "text-embedding-3-small", input: ["a", "b"],
    encoding_format: "float",
  });

  return answer.data.map((item) => item.embedding);
});

await step("upload", async () => {
  const audio = Uint8Array.from({ length: 2_000_000 }, (_, i) => i % 251);
  const answer = await client.audio.transcriptions.create({
    file: await toFile(audio, "speech.wav"), model: "whisper-1",
  });

  return answer.text;
});

await step("models", async () => {
  const ids = [];

  for await (const model of client.models.list()) {
    ids.push(model.id);
  }

  return ids;
});

await step("error", () => client.chat.completions.create({
  model: "gpt-4o", messages, user: "too-long",
}));

await step("unknown", () => client.chat.completions.create({
  model: "nobody-knows", messages,
}));

await step("unauthorized", () => client.withOptions({ apiKey: "wrong" })
  .chat.completions.create({ model: "gpt-4o", messages }));

// the pool of this provider has one key, which is out of requests

await step("limited", () => client.chat.completions.create({
  model: "mistral-large-latest", messages,
}));

await step("limited_again", () => client.chat.completions.create({
  model: "mistral-large-latest", messages,
}));

console.log(JSON.stringify(result));
