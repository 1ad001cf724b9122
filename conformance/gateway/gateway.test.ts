import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../harness/processes.ts";
import { requestsInFlight } from "../harness/raw-call.ts";
import { root, type Server, startServer } from "../harness/server.ts";
import { program, gateway as tool } from "../harness/tools.ts";
import { type Gateway, models, startGateway } from "./smg.ts";

const model = "tokenwire-demo";
const question = "What is the capital of France?";
const text = "Once upon a time";
// Twelve tokens, whatever the model would like to say.
const twelve = { temperature: 0, max_tokens: 12, ignore_eos: true };
const chat = { model, messages: [{ role: "user", content: question }], ...twelve };

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

let server: Server;
let gateway: Gateway;
/** Tokens of the chat prompt in the model's template, and of the plain text. */
let counted: { chat: number; text: number };

before(async () => {
  server = await startServer();
  gateway = await startGateway(server.target);
  const rendered = `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`;
  const tokenizer = join(root, "models", "demo", "hf", "tokenizer.json");
  const script = join(import.meta.dirname, "count_tokens.py");
  const { stdout, stderr } = await run(program(tool, "python"), [script, tokenizer, rendered, text]);
  assert.notEqual(stdout, "", stderr);
  const [chatTokens, textTokens] = JSON.parse(stdout) as [number, number];
  counted = { chat: chatTokens, text: textTokens };
});
after(() => {
  gateway?.stop();
  server?.kill();
});

test("the gateway lists the model by its served name", async () => {
  assert.deepEqual(await models(gateway.url), [model]);
});

test("chat answers with the right usage", async () => {
  const { choices, usage } = await ask<ChatAnswer>("/v1/chat/completions", chat);
  assert.notEqual(choices[0]?.message.content, "");
  assert.equal(choices[0]?.finish_reason, "length");
  assertUsage(usage, counted.chat, 12);
});

test("a chat stream carries the same text and usage as the whole answer", async () => {
  const whole = await ask<ChatAnswer>("/v1/chat/completions", chat);
  const events = await askStream<ChatEvent>("/v1/chat/completions", {
    ...chat,
    stream_options: { include_usage: true },
  });
  const content = events.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
  assert.equal(content, whole.choices[0]?.message.content);
  const finish = events.flatMap(({ choices }) => choices.map((choice) => choice.finish_reason)).filter((word) => word);
  assert.deepEqual(finish, ["length"]);
  const usage = events.at(-1)?.usage;
  assert.ok(usage);
  assertUsage(usage, counted.chat, 12);
});

test("a chat that ends by itself says stop", async () => {
  const { choices } = await ask<ChatAnswer>("/v1/chat/completions", {
    ...chat,
    ignore_eos: false,
    max_tokens: 200,
  });
  assert.equal(choices[0]?.finish_reason, "stop");
  assert.match(choices[0]?.message.content ?? "", /Paris/);
});

test("n=2 answers two choices and counts the prompt once", async () => {
  const { choices, usage } = await ask<ChatAnswer>("/v1/chat/completions", { ...chat, n: 2, temperature: 1, seed: 7 });
  assert.deepEqual(choices.map(({ index }) => index).sort(), [0, 1]);
  assertUsage(usage, counted.chat, 24);
});

test("logprobs come for every token with the alternatives asked for", async () => {
  const { choices } = await ask<ChatAnswer>("/v1/chat/completions", { ...chat, logprobs: true, top_logprobs: 2 });
  const content = choices[0]?.logprobs?.content ?? [];
  assert.equal(content.length, 12);
  for (const { logprob, top_logprobs } of content) {
    assert.ok(logprob <= 0);
    assert.equal(top_logprobs.length, 2);
  }
});

test("a completion answers with the right usage", async () => {
  const { choices, usage } = await ask<{ choices: { text: string }[]; usage: Usage }>("/v1/completions", {
    model,
    prompt: text,
    ...twelve,
  });
  assert.notEqual(choices[0]?.text, "");
  assertUsage(usage, counted.text, 12);
});

test("a JSON schema is obeyed", async () => {
  const schema = {
    type: "object",
    properties: { colour: { type: "string", enum: ["red", "green", "blue"] }, known: { type: "boolean" } },
    required: ["colour", "known"],
    additionalProperties: false,
  };
  const { choices } = await ask<ChatAnswer>("/v1/chat/completions", {
    model,
    messages: [{ role: "user", content: "Give me JSON about a colour." }],
    temperature: 0,
    max_tokens: 100,
    response_format: { type: "json_schema", json_schema: { name: "colour", schema } },
  });
  const answer = JSON.parse(choices[0]?.message.content ?? "");
  assert.deepEqual(Object.keys(answer).sort(), ["colour", "known"]);
  assert.ok(["red", "green", "blue"].includes(answer.colour));
  assert.equal(typeof answer.known, "boolean");
});

test("embeddings are unit vectors with the right usage", async () => {
  const { data, usage } = await ask<{ data: { embedding: number[] }[]; usage: Usage }>("/v1/embeddings", {
    model,
    input: text,
  });
  const embedding = data[0]?.embedding ?? [];
  assert.equal(embedding.length, 256);
  const length = Math.hypot(...embedding);
  assert.ok(Math.abs(length - 1) < 1e-3, `length ${length}`);
  assert.equal(usage.prompt_tokens, counted.text);
});

test("the other doors of the gateway answer", async () => {
  const messages = [{ role: "user", content: question }];
  await ask("/v1/responses", { model, input: question, max_output_tokens: 12, store: false });
  await ask("/v1/messages", { model, messages, max_tokens: 12 });
  await ask("/generate", { model, text, sampling_params: { max_new_tokens: 12, temperature: 0 } });
});

test("a wrong parameter is the client's error and not a retry", async () => {
  const answer = await post("/v1/completions", { model, prompt: text, temperature: -1 });
  assert.equal(answer.status, 400, await answer.text());
});

test("clients that leave their streams free their slots", async () => {
  // Tens of thousands of tokens: many seconds of work, so that slots that are free soon were freed and not finished.
  const long = { model, prompt: text, stream: true, ignore_eos: true, max_tokens: 1900 };
  const leaving = new AbortController();
  const streams = await Promise.all(Array.from({ length: 32 }, () => post("/v1/completions", long, leaving.signal)));
  const readers = streams.map(({ body }) => body?.getReader());
  await Promise.all(readers.map((reader) => reader?.read()));
  assert.ok(((await requestsInFlight(server.target)) ?? 0) > 0);
  leaving.abort();
  await Promise.all(readers.map((reader) => reader?.closed.catch(() => {})));
  await until("the slots are free", async () => (await requestsInFlight(server.target)) === 0, 3_000);
});

test("a killed engine comes back behind the gateway without anybody's help", async () => {
  const engines = server.children();
  assert.equal(engines.length, 1);
  process.kill(engines[0] ?? 0, "SIGKILL");
  await until("the engine's process is replaced", () => {
    const now = server.children();
    return Promise.resolve(now.length === 1 && now[0] !== engines[0]);
  });
  await until("chat answers", async () => (await post("/v1/chat/completions", chat)).status === 200);
});

test("the server stops with exit code 0 and leaves no process while the gateway is connected", () => server.stop());

interface ChatAnswer {
  readonly choices: {
    index: number;
    message: { content: string };
    finish_reason: string;
    logprobs?: { content: { logprob: number; top_logprobs: unknown[] }[] };
  }[];
  readonly usage: Usage;
}

interface ChatEvent {
  readonly choices: { delta: { content?: string | null }; finish_reason: string | null }[];
  readonly usage?: Usage;
}

function assertUsage(usage: Usage, promptTokens: number, completionTokens: number): void {
  const { prompt_tokens, completion_tokens, total_tokens } = usage;
  assert.deepEqual([prompt_tokens, completion_tokens], [promptTokens, completionTokens]);
  assert.equal(total_tokens, promptTokens + completionTokens);
}

function post(path: string, body: object, signal?: AbortSignal): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  return fetch(gateway.url + path, { ...init, signal: signal ?? AbortSignal.timeout(60_000) });
}

async function ask<Answer>(path: string, body: object): Promise<Answer> {
  const answer = await post(path, body);
  const said = await answer.text();
  assert.equal(answer.status, 200, `${path}: ${said}\nserver:\n${server.log()}`);
  return JSON.parse(said);
}

/** The events of a stream, which has to end with [DONE]. */
async function askStream<Event>(path: string, body: object): Promise<Event[]> {
  const answer = await post(path, { ...body, stream: true });
  const said = await answer.text();
  assert.equal(answer.status, 200, `${path}: ${said}`);
  const data = [...said.matchAll(/^data: (.*)$/gm)].map((match) => match[1] ?? "");
  assert.equal(data.at(-1), "[DONE]");
  return data.slice(0, -1).map((event) => JSON.parse(event));
}

async function until(what: string, holds: () => Promise<boolean>, limitMs = 60_000): Promise<void> {
  const giveUpAtMs = performance.now() + limitMs;
  while (!(await holds())) {
    assert.ok(performance.now() < giveUpAtMs, `not within ${limitMs} ms: ${what}`);
    await sleep(50);
  }
}
