// Copyright (C) the NGINX LLM balancer authors

// What applications do with a package of npm; results as one JSON.

import { File } from "node:buffer";

globalThis.File ??= File; // Node 18 has it, but not as a global

const base = process.env.LLM_BASE_URL;
const key = process.env.LLM_API_KEY;

const schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
const messages = [{ role: "user", content: 'Grüße "model": \u{1f600}' }];

const result = {};

// Records what a function returns, or how it failed.

async function step(name, run) {
  try {
    result[name] = await run();
  } catch (error) {
    result[name] = `${error.constructor.name}: ${error.message}`;
  }
}

async function joined(stream, text) {
  let all = "";

  for await (const chunk of stream) {
    all += text(chunk) ?? "";
  }

  return all;
}

async function ids(list, id) {
  const all = [];

  for await (const item of list) {
    all.push(id(item));
  }

  return all;
}

const packages = {
  async openai() {
    const { default: OpenAI, toFile } = await import("openai");
    const client = new OpenAI({
      baseURL: `${base}/v1`, apiKey: key, maxRetries: 0,
    });
    const create = (more) => client.chat.completions.create({
      model: "gpt-4o", messages, ...more,
    });

    await step("chat", async () =>
      (await create()).choices[0].message.content);
    await step("stream", async () => joined(await create({ stream: true }),
      (chunk) => chunk.choices[0]?.delta?.content));
    await step("tools", async () => {
      const answer = await create({ tools: [{
        type: "function", function: { name: "look_up", parameters: schema },
      }] });
      const call = answer.choices[0].message.tool_calls[0].function;

      return `${call.name} ${JSON.parse(call.arguments).city}`;
    });
    await step("metadata", async () =>
      (await create({ metadata: { a: "b" } })).choices[0].message.content);
    await step("embeddings", async () => (await client.embeddings.create({
      model: "text-embedding-3-small", input: ["a", "b"],
    })).data.map((item) => item.embedding));
    await step("audio", async () => (await client.audio.transcriptions.create({
      file: await toFile(new Uint8Array(200_000), "a.wav"),
      model: "whisper-1",
    })).text);
    await step("upload", async () => (await client.files.create({
      file: await toFile(Buffer.from("{}\n"), "a.jsonl"), purpose: "batch",
    })).id);
    await step("list", () => ids(client.models.list(), (model) => model.id));
    await step("files", () => ids(client.files.list(), (file) => file.id));
  },

  async anthropic() {
    const { default: Anthropic, toFile } = await import("@anthropic-ai/sdk");
    const options = { apiKey: key, maxRetries: 0 };
    const client = new Anthropic({ ...options, baseURL: base });
    const prefixed = new Anthropic({
      ...options, baseURL: `${base}/anthropic`,
    });
    const request = {
      model: "claude-sonnet-4-5", max_tokens: 100, messages,
      metadata: { user_id: "u" },
    };

    await step("chat", async () =>
      (await client.messages.create(request)).content[0].text);
    await step("stream", () => joined(client.messages.stream(request),
      (event) => event.delta?.text));
    await step("tools", async () => {
      const { content } = await client.messages.create({
        ...request, tools: [{ name: "look_up", input_schema: schema }],
      });

      return `${content[0].name} ${content[0].input.city}`;
    });
    await step("list", () => ids(client.models.list(), (model) => model.id));
    await step("upload", async () => (await prefixed.beta.files.upload({
      file: await toFile(Buffer.from("abc"), "a.txt", { type: "text/plain" }),
    })).id);
    await step("models", () =>
      ids(prefixed.models.list(), (model) => model.id));
  },

  async google() {
    const { GoogleGenAI } = await import("@google/genai");
    const client = new GoogleGenAI({
      apiKey: key, httpOptions: { baseUrl: base },
    });
    const request = { model: "gemini-2.5-flash", contents: "Grüße" };

    await step("chat", async () =>
      (await client.models.generateContent(request)).text);
    await step("stream", async () => joined(
      await client.models.generateContentStream(request),
      (chunk) => chunk.text));
    await step("tools", async () => {
      const [call] = (await client.models.generateContent({
        ...request, config: { tools: [{ functionDeclarations: [{
          name: "look_up", parametersJsonSchema: schema,
        }] }] },
      })).functionCalls;

      return `${call.name} ${call.args.city}`;
    });
    await step("embeddings", async () => (await client.models.embedContent({
      model: "gemini-embedding-001", contents: ["a", "b"],
    })).embeddings.map((item) => item.values));
    await step("upload", async () => (await client.files.upload({
      file: new Blob(["abc"], { type: "text/plain" }),
    })).name);
    await step("list", async () =>
      ids(await client.models.list(), (model) => model.name));
  },

  async ai() {
    const { generateText, streamText, embedMany, tool, jsonSchema } =
      await import("ai");
    const { createOpenAICompatible } =
      await import("@ai-sdk/openai-compatible");
    const provider = createOpenAICompatible({
      name: "balancer", baseURL: `${base}/v1`, apiKey: key,
    });
    const request = {
      model: provider("mistral-large-latest"), prompt: "Grüße", maxRetries: 0,
    };

    await step("chat", async () => (await generateText(request)).text);
    await step("stream", () =>
      joined(streamText(request).textStream, (text) => text));
    await step("tools", async () => {
      const [call] = (await generateText({ ...request, tools: {
        look_up: tool({ description: "x", inputSchema: jsonSchema(schema) }),
      } })).toolCalls;

      return `${call.toolName} ${call.input.city}`;
    });
    await step("embeddings", async () => (await embedMany({
      model: provider.textEmbeddingModel("mistral-embed"),
      values: ["a", "b"], maxRetries: 0,
    })).embeddings);
  },
};

await packages[process.argv[2]]();

console.log(`\n${JSON.stringify(result)}`);
