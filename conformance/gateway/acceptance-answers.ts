import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { requestsInFlight } from "../harness/raw-call.ts";
import type { Server } from "../harness/server.ts";
import { ask, askStream, type ChatAnswer, type ChatEvent, post, type Usage, until } from "./gateway-client.ts";
import { type Gateway, models, startGateway, workersOf } from "./smg.ts";
import { tokenIdsOf } from "./tokenize-prompts.ts";
import { model, type Worker, type WorkerKind } from "./worker-kind.ts";

const question = "What is the capital of France?";
const text = "Once upon a time";
// Twelve tokens, whatever the model would like to say.
const twelve = { temperature: 0, max_tokens: 12, ignore_eos: true };
const chat = { model, messages: [{ role: "user", content: question }], ...twelve };

/** Points 1 to 4, 9 and 10: what one worker lists and answers. */
export function describeAnswers(kind: WorkerKind): void {
  describe("one worker", () => defineAnswers(kind));
}

function defineAnswers(kind: WorkerKind): void {
  let server: Worker;
  let gateway: Gateway;
  /** Tokens of the chat prompt in the model's template, and of the plain text. */
  let counted: { chat: number; text: number };

  before(async () => {
    server = await kind.start();
    gateway = await startGateway(server.target);
    counted = await countTokens();
  });
  after(() => {
    gateway?.stop();
    server?.kill();
  });
  const url = (path: string) => gateway.url + path;

  test("1. the gateway lists the model by its served name", async () => {
    assert.deepEqual(await models(gateway.url), [model]);
  });

  test("2. chat answers with the right usage", async () => {
    const { choices, usage } = await ask<ChatAnswer>(url("/v1/chat/completions"), chat);
    assert.notEqual(choices[0]?.message.content, "");
    assert.equal(choices[0]?.finish_reason, "length");
    assertUsage(usage, counted.chat, 12);
  });

  test("2. a chat stream carries the same text and usage as the whole answer", async () => {
    const whole = await ask<ChatAnswer>(url("/v1/chat/completions"), chat);
    const streamed = { ...chat, stream_options: { include_usage: true } };
    const events = await askStream<ChatEvent>(url("/v1/chat/completions"), streamed);
    const content = events.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
    assert.equal(content, whole.choices[0]?.message.content);
    const ends = events.flatMap(({ choices }) => choices.map((choice) => choice.finish_reason)).filter((word) => word);
    assert.deepEqual(ends, ["length"]);
    const usage = events.at(-1)?.usage;
    assert.ok(usage);
    assertUsage(usage, counted.chat, 12);
  });

  test("2. a chat that ends by itself says stop", async () => {
    const own = { ...chat, ignore_eos: false, max_tokens: 200 };
    const { choices } = await ask<ChatAnswer>(url("/v1/chat/completions"), own);
    assert.equal(choices[0]?.finish_reason, "stop");
    assert.match(choices[0]?.message.content ?? "", /Paris/);
  });

  test("2. n=2 answers two choices and counts the prompt once", async () => {
    const two = { ...chat, n: 2, temperature: 1, seed: 7 };
    const { choices, usage } = await ask<ChatAnswer>(url("/v1/chat/completions"), two);
    assert.deepEqual(choices.map(({ index }) => index).sort(), [0, 1]);
    assertUsage(usage, counted.chat, 24);
  });

  test("2. logprobs come for every token with the alternatives asked for", async () => {
    const asked = { ...chat, logprobs: true, top_logprobs: 2 };
    const { choices } = await ask<ChatAnswer>(url("/v1/chat/completions"), asked);
    const content = choices[0]?.logprobs?.content ?? [];
    assert.equal(content.length, 12);
    for (const { logprob, top_logprobs } of content) {
      assert.ok(logprob <= 0);
      assert.equal(top_logprobs.length, 2);
    }
  });

  test("2. a completion answers with the right usage", async () => {
    const asked = { model, prompt: text, ...twelve };
    const { choices, usage } = await ask<{ choices: { text: string }[]; usage: Usage }>(url("/v1/completions"), asked);
    assert.notEqual(choices[0]?.text, "");
    assertUsage(usage, counted.text, 12);
  });

  test("2. a JSON schema is obeyed", async () => {
    const schema = {
      type: "object",
      properties: { colour: { type: "string", enum: ["red", "green", "blue"] }, known: { type: "boolean" } },
      required: ["colour", "known"],
      additionalProperties: false,
    };
    const { choices } = await ask<ChatAnswer>(url("/v1/chat/completions"), {
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

  test("2. the other doors of the gateway answer with the right usage", async () => {
    const messages = [{ role: "user", content: question }];
    const response = await ask<{ usage: { input_tokens: number; output_tokens: number } }>(url("/v1/responses"), {
      ...{ model, input: question, max_output_tokens: 12, store: false, temperature: 0 },
    });
    assert.equal(response.usage.input_tokens, counted.chat);
    const message = await ask<{ usage: { input_tokens: number } }>(url("/v1/messages"), {
      ...{ model, messages, max_tokens: 12, temperature: 0 },
    });
    assert.equal(message.usage.input_tokens, counted.chat);
    const sampling = { max_new_tokens: 12, temperature: 0, ignore_eos: true };
    await ask(url("/generate"), { model, text, sampling_params: sampling });
  });

  test("2. a wrong parameter is the client's error and not a retry", async () => {
    const answer = await post(url("/v1/completions"), { model, prompt: text, temperature: -1 });
    assert.equal(answer.status, 400, await answer.text());
  });

  test("3. clients that leave their streams free their slots", async () => {
    // Tens of thousands of tokens: many seconds of work, so that slots that are free soon were freed and not finished.
    const long = { model, prompt: text, stream: true, ignore_eos: true, max_tokens: 1900 };
    const leaving = new AbortController();
    const streams = await Promise.all(
      Array.from({ length: 32 }, () => post(url("/v1/completions"), long, leaving.signal)),
    );
    const readers = streams.map(({ body }) => body?.getReader());
    await Promise.all(readers.map((reader) => reader?.read()));
    assert.ok(((await requestsInFlight(server.target)) ?? 0) > 0);
    leaving.abort();
    await Promise.all(readers.map((reader) => reader?.closed.catch(() => {})));
    await until("the slots are free", async () => (await requestsInFlight(server.target)) === 0, 3_000);
  });

  test("3. a client that leaves before the whole answer is there frees its slot", async () => {
    const long = { model, prompt: text, ignore_eos: true, max_tokens: 1900 };
    const leaving = new AbortController();
    const asking = post(url("/v1/completions"), long, leaving.signal);
    let early: string | undefined;
    asking.then(
      async (answer) => {
        early = `${answer.status} ${await answer.text()}`;
      },
      () => {},
    );
    await until("the request runs", async () => {
      assert.equal(early, undefined, "it was answered before it ran");
      return (await requestsInFlight(server.target)) === 1;
    });
    leaving.abort();
    await assert.rejects(asking);
    await until("the slot is free", async () => (await requestsInFlight(server.target)) === 0, 3_000);
  });

  test("10. a gateway that looks for data-parallel ranks answers too", async () => {
    const aware = await startGateway(server.target, { flags: ["--dp-aware"] });
    try {
      await until("chat answers", async () => (await post(`${aware.url}/v1/chat/completions`, chat)).status === 200);
    } finally {
      aware.stop();
    }
  });

  test("9. the gateway has its tokenizer from GetTokenizer where no path leads to it", async () => {
    const path = server.hideTokenizer();
    assert.ok(path === undefined || !existsSync(path));
    const fresh = await startGateway(server.target);
    try {
      const [worker] = await workersOf(fresh.url);
      assert.equal(worker?.labels?.tokenizer_path, path);
      const { choices, usage } = await ask<ChatAnswer>(`${fresh.url}/v1/chat/completions`, chat);
      assert.equal(choices[0]?.finish_reason, "length");
      assertUsage(usage, counted.chat, 12);
    } finally {
      fresh.stop();
    }
  });

  test("4. the server stops with exit code 0 and leaves no process while the gateway is connected", () =>
    server.stop());
}

/** Point 2 for a worker that embeds, which may be one that cannot generate. */
export function describeEmbeddings(kind: WorkerKind): void {
  describe("a worker that embeds", () => defineEmbeddings(kind));
}

function defineEmbeddings(kind: WorkerKind): void {
  let server: Server;
  let gateway: Gateway;
  before(async () => {
    server = await kind.startToEmbed();
    gateway = await startGateway(server.target);
  });
  after(() => {
    gateway?.stop();
    server?.kill();
  });

  test("2. embeddings are unit vectors with the right usage", async () => {
    const [textIds] = await tokenIdsOf([text]);
    const asked = { model, input: text };
    const answer = await ask<{ data: { embedding: number[] }[]; usage: Usage }>(`${gateway.url}/v1/embeddings`, asked);
    const embedding = answer.data[0]?.embedding ?? [];
    assert.equal(embedding.length, 256);
    const length = Math.hypot(...embedding);
    assert.ok(Math.abs(length - 1) < 1e-3, `length ${length}`);
    assert.equal(answer.usage.prompt_tokens, textIds?.length);
  });
}

async function countTokens(): Promise<{ chat: number; text: number }> {
  const rendered = `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`;
  const [chatIds, textIds] = await tokenIdsOf([rendered, text]);
  return { chat: chatIds?.length ?? 0, text: textIds?.length ?? 0 };
}

function assertUsage(usage: Usage, promptTokens: number, completionTokens: number): void {
  const { prompt_tokens, completion_tokens, total_tokens } = usage;
  assert.deepEqual([prompt_tokens, completion_tokens], [promptTokens, completionTokens]);
  assert.equal(total_tokens, promptTokens + completionTokens);
}
