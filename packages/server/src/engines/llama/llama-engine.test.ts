import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Engine } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { Constraint, Prompt, SamplingParams } from "../../engine/request.ts";
import { CollectingSink } from "../../engine/testing/collecting-sink.ts";
import { describeEngineContract } from "../../engine/testing/engine-contract.ts";
import { greedySampling } from "../../engine/testing/sampling.ts";
import { createDemoEngine, demoModelPath, readReferencePrompts } from "./testing/demo-model.ts";

const reference = readReferencePrompts();
const story = reference.find(({ text }) => text.startsWith("Once upon a time")) ?? reference[0];
assert.ok(story);
const storyIds = Uint32Array.from(story.promptIds);

describeEngineContract("the llama engine", {
  createEngine: ({ maxNumSeqs }) => createDemoEngine({ maxNumSeqs, maxModelLenTokens: 256 }),
  prompt: storyIds,
  text: "Tell me a story about a fox. ",
  stopString: "upon",
});

describe("the llama engine", () => {
  let engine: Engine;
  let ids = 0;

  before(async () => {
    engine = createDemoEngine();
    await engine.start();
  });
  after(() => engine.close(0));

  function generate(prompt: Prompt | readonly number[], changes: Partial<SamplingParams>): CollectingSink {
    const sampling = greedySampling({ maxTokens: 64, ...changes });
    const sink = new CollectingSink(sampling.n);
    const given = "kind" in prompt ? prompt : ({ kind: "tokens", tokenIds: Uint32Array.from(prompt) } as const);
    engine.generate({ id: `test-${ids++}`, prompt: given, sampling }, sink);
    return sink;
  }

  async function finished(
    prompt: Prompt | readonly number[],
    changes: Partial<SamplingParams>,
  ): Promise<CollectingSink> {
    const sink = generate(prompt, changes);
    const end = await sink.end();
    if (end.t === "failed") throw end.error;
    return sink;
  }

  async function textOf(changes: Partial<SamplingParams>): Promise<string> {
    const sink = await finished([...storyIds], { maxTokens: 128, ...changes });
    const vocabulary = await vocabularyOf(engine);
    return sink
      .tokenIds()
      .filter((id) => !engine.facts().eosTokenIds.includes(id))
      .map((id) => vocabulary.get(id) ?? "")
      .join("")
      .replaceAll("Ġ", " ")
      .replaceAll("Ċ", "\n");
  }

  it("ends a constrained output where its grammar ends, before min_tokens and whatever the temperature", async () => {
    for (const temperature of [0, 1, 2, 1e30]) {
      for (const gbnf of ['root ::= "7" "3"', 'root ::= "7" "3"?']) {
        const constraint: Constraint = { kind: "grammar", source: gbnf };
        const changes = { temperature, seed: 3, constraint, minTokens: 20, stopTokenIds: [5, 6], repetitionPenalty: 2 };
        const sink = await finished([...storyIds], { ...changes, logprobs: 2 });
        assert.deepEqual(sink.finish(), { reason: "stop" });
        assert.ok(sink.tokenIds().length <= 3);
      }
    }
  });

  it("writes a profile of its child, one at a time, and says why it cannot", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tokenwire-profile-"));
    const path = join(folder, "engine.cpuprofile");
    const { profiler } = engine;
    assert.ok(profiler);
    await assert.rejects(profiler.stop(), /no profile is being taken/);
    await profiler.start(path);
    await assert.rejects(profiler.start(join(folder, "other")), /being taken already/);
    await finished([...storyIds], { maxTokens: 32 });
    await profiler.stop();
    const { nodes } = JSON.parse(readFileSync(path, "utf8")) as { nodes: { callFrame: { url: string } }[] };
    assert.ok(nodes.some(({ callFrame }) => callFrame.url.includes("llama/child/")));
    await profiler.start(path);
    await assert.rejects(profiler.stop(), { kind: "failed-precondition", message: /EEXIST/ });
    rmSync(folder, { recursive: true, force: true });
  });

  it("lets no grammar that may end do so before min_tokens", async () => {
    const constraint: Constraint = { kind: "regex", source: "[a-z ]*" };
    const sink = await finished([...storyIds], { temperature: 1, seed: 5, constraint, minTokens: 20, maxTokens: 40 });
    assert.ok(sink.tokenIds().length >= 20);
  });

  it("gives the greedy ids and logprobs of Hugging Face transformers, one prompt at a time", async () => {
    for (const { promptIds, generatedIds, logprobs } of reference) {
      const sink = await finished(promptIds, { logprobs: 0 });
      assert.deepEqual(sink.tokenIds(), generatedIds);
      const values = sink.deltas.flatMap((delta) => [...(delta.logprobs?.tokenLogprobs ?? [])]);
      // llama.cpp sums 16-bit floats as the CPU's instructions allow: 0.012 was seen on one with AVX-512 but no AMX, less elsewhere.
      for (const [i, value] of values.entries()) assert.ok(Math.abs(value - (logprobs[i] ?? Number.NaN)) < 0.02);
    }
  });

  it("gives the same greedy ids in a batch of 16", async () => {
    const batch = reference.slice(0, 16);
    const sinks = await Promise.all(batch.map(({ promptIds }) => finished(promptIds, {})));
    for (const [i, sink] of sinks.entries()) assert.deepEqual(sink.tokenIds(), batch[i]?.generatedIds);
  });

  it("completes 64 streams at once, each with its own answer", async () => {
    const prompts = Array.from({ length: 64 }, (_, i) => reference[i % reference.length] ?? story);
    const sinks = await Promise.all(
      prompts.map(({ promptIds }) => finished(promptIds, { maxTokens: 128, ignoreEos: true })),
    );
    sinks.forEach((sink, i) => {
      const expected = prompts[i]?.generatedIds ?? [];
      assert.equal(sink.tokenIds().length, 128);
      assert.deepEqual(sink.tokenIds().slice(0, expected.length), expected);
    });
  });

  it("computes a long prompt in chunks while others decode", async () => {
    const long = Array.from({ length: 1500 }, (_, i) => storyIds[i % storyIds.length] ?? 0);
    const running = generate([...storyIds], { maxTokens: 1000, ignoreEos: true });
    await running.count(1);
    const at = running.deltas.length;
    const sink = await finished(long, { maxTokens: 1 });
    assert.equal(sink.deltas[0]?.promptTokens, 1500);
    // 1500 tokens do not fit one step of 512, and every step gives the other stream a token.
    assert.ok(running.deltas.length - at >= 3);
    await running.end();
  });

  it("computes a prompt once for all its outputs and takes it over for the next request", async () => {
    await engine.flushCache();
    const prompt = [...storyIds, ...storyIds, ...storyIds];
    const sink = await finished(prompt, { n: 3, temperature: 1, seed: 1, maxTokens: 4, ignoreEos: true });
    const cached = (index: number) => sink.deltas.find((delta) => delta.index === index)?.cachedTokens;
    assert.deepEqual([cached(0), cached(1), cached(2)], [0, prompt.length - 1, prompt.length - 1]);
    const next = await finished([...prompt, 300, 301], { maxTokens: 1 });
    assert.equal(next.deltas[0]?.cachedTokens, prompt.length);
  });

  it("gives a prompt's logprobs over several chunks, and the same whether cached before or not", async () => {
    const prompt = Array.from({ length: 700 }, (_, i) => storyIds[i % storyIds.length] ?? 0);
    const first = await finished(prompt, { promptLogprobs: 1, maxTokens: 1 });
    const again = await finished(prompt, { promptLogprobs: 1, maxTokens: 1 });
    const values = first.deltas[0]?.promptLogprobs?.tokenLogprobs ?? [];
    assert.equal(values.length, 700);
    again.deltas[0]?.promptLogprobs?.tokenLogprobs.forEach((value, i) => {
      assert.ok(i === 0 || Math.abs((value ?? 1) - (values[i] ?? 2)) < 0.01);
    });
    assert.equal(again.deltas[0]?.cachedTokens, 0);
  });

  const constraints: readonly [string, Constraint, (text: string) => boolean][] = [
    [
      "a JSON schema",
      {
        kind: "json-schema",
        source:
          '{"type":"object","properties":{"n":{"type":"integer","minimum":1,"maximum":9}},"required":["n"],"additionalProperties":false}',
      },
      (text) => Number.isInteger((JSON.parse(text) as { n: number }).n),
    ],
    ["any JSON object", { kind: "json-object" }, (text) => JSON.parse(text) instanceof Object],
    ["a regular expression", { kind: "regex", source: "[a-c]{3}-\\d{2}" }, (text) => /^[a-c]{3}-\d{2}$/.test(text)],
    ["a choice", { kind: "choice", choices: ["yes", "no"] }, (text) => text === "yes" || text === "no"],
    ["a grammar", { kind: "grammar", source: 'root ::= "<" [0-9]+ ">"' }, (text) => /^<\d+>?$/.test(text)],
  ];
  for (const [what, constraint, holds] of constraints) {
    it(`holds an output to ${what}`, async () => {
      // The demonstration model does not speak JSON by itself; the bias keeps strings and numbers short.
      for (let seed = 0; seed < 3; seed++) {
        const text = await textOf({ constraint, temperature: 0.7, seed, maxTokens: 400 });
        assert.ok(holds(text), text);
      }
    });
  }

  it("refuses a constraint that is no constraint before anything reaches the child", () => {
    const refused = (constraint: Constraint, field: string) =>
      assert.throws(
        () => generate([...storyIds], { constraint }),
        (thrown) => thrown instanceof EngineError && thrown.kind === "invalid-argument" && thrown.field === field,
      );
    refused({ kind: "json-schema", source: "{" }, "sampling_params.json_schema");
    refused({ kind: "regex", source: "(" }, "sampling_params.regex");
    refused({ kind: "grammar", source: "root ::= root" }, "sampling_params.grammar");
  });

  it("goes on with the others when a child's request fails", async () => {
    const other = generate([...storyIds], { maxTokens: 200, ignoreEos: true });
    await other.count(1);
    const end = await generate({ kind: "text", text: "a ".repeat(5000), truncateToTokens: undefined }, {}).end();
    assert.equal(end.t, "failed");
    await other.end();
    assert.equal(other.tokenIds().length, 200);
  });
});

describe("the llama engine's embeddings", () => {
  it("computes none that were given up while they waited", async () => {
    const engine = createDemoEngine({ maxNumSeqs: 1 });
    await engine.start();
    try {
      const tokenIds = new Uint32Array(engine.facts().maxModelLenTokens).fill(5);
      const live = new AbortController().signal;
      await engine.embed({ id: "first", tokenIds }, live);
      const beganMs = cpuMsOf(childOf(process.pid));
      await engine.embed({ id: "second", tokenIds }, live);
      const oneMs = cpuMsOf(childOf(process.pid)) - beganMs;
      const giveUp = new AbortController();
      const many = Array.from({ length: 40 }, (_, i) => engine.embed({ id: `given-up-${i}`, tokenIds }, giveUp.signal));
      giveUp.abort();
      for (const { status } of await Promise.allSettled(many)) assert.equal(status, "rejected");
      const beforeMs = cpuMsOf(childOf(process.pid));
      await engine.embed({ id: "last", tokenIds }, live);
      // Its own work and at most one pass that had begun; the forty would be ten times that.
      assert.ok(cpuMsOf(childOf(process.pid)) - beforeMs < 5 * oneMs + 100);
    } finally {
      await engine.close(0);
    }
  });
});

describe("the llama engine's supervision", () => {
  it("ends every stream unavailable when the child is killed, and serves again by itself", async () => {
    const engine = createDemoEngine();
    try {
      await engine.start();
      const sinks = Array.from({ length: 8 }, (_, i) => {
        const sink = new CollectingSink();
        const sampling = greedySampling({ maxTokens: undefined, ignoreEos: true });
        engine.generate({ id: `k${i}`, prompt: { kind: "tokens", tokenIds: storyIds }, sampling }, sink);
        return sink;
      });
      await Promise.all(sinks.map((sink) => sink.count(2)));
      const check = engine.checkHealth();
      const states: string[] = [];
      const readyAgain = new Promise<void>((resolve) => {
        engine.onState((state) => {
          states.push(state.t);
          if (state.t === "ready") resolve();
        });
      });
      process.kill(childOf(process.pid), "SIGKILL");
      await Promise.allSettled([check]);
      for (const sink of sinks) {
        const end = await sink.end();
        assert.ok(end.t === "failed" && end.error.kind === "unavailable", "a stream must end with an error, not whole");
      }
      await readyAgain;
      assert.equal(states[0], "dead");
      assert.equal(states.at(-1), "ready");
      const sink = new CollectingSink();
      const sampling = greedySampling({ maxTokens: 64 });
      engine.generate({ id: "again", prompt: { kind: "tokens", tokenIds: storyIds }, sampling }, sink);
      await sink.end();
      assert.deepEqual(sink.tokenIds(), story.generatedIds);
    } finally {
      await engine.close(0);
    }
  });

  it("keeps the child through signals to the whole group, which are the parent's to answer", async () => {
    const engine = createDemoEngine();
    try {
      await engine.start();
      const child = childOf(process.pid);
      process.kill(child, "SIGTERM");
      process.kill(child, "SIGINT");
      const sink = new CollectingSink();
      const sampling = greedySampling({ maxTokens: 8, ignoreEos: true });
      engine.generate({ id: "signalled", prompt: { kind: "tokens", tokenIds: storyIds }, sampling }, sink);
      await sink.end();
      assert.deepEqual([sink.finish(), childOf(process.pid)], [{ reason: "length" }, child]);
    } finally {
      await engine.close(0);
    }
  });

  it("ends a start that is closed on the way", async () => {
    const engine = createDemoEngine();
    const started = engine.start();
    const loading = new Promise<void>((resolve) => {
      engine.onState((state) => state.t === "starting" && (state.progress ?? 0) > 0 && resolve());
    });
    await loading;
    await engine.close(0);
    await assert.rejects(
      started,
      (thrown) => thrown instanceof EngineError && thrown.kind === "unavailable" && /closed/.test(thrown.message),
    );
    assert.equal(engine.state.t, "closed");
  });

  it("refuses requests instead of piling them up for a child that reads nothing", async () => {
    const engine = createDemoEngine({ maxNumSeqs: 1 });
    await engine.start();
    const child = childOf(process.pid);
    try {
      process.kill(child, "SIGSTOP");
      const text = "a".repeat(4 * 1024 * 1024);
      const prompt: Prompt = { kind: "text", text, truncateToTokens: undefined };
      let taken = 0;
      const fill = () => {
        for (; taken < 64; taken++)
          engine.generate({ id: `p${taken}`, prompt, sampling: greedySampling() }, new CollectingSink());
      };
      assert.throws(fill, (thrown) => thrown instanceof EngineError && thrown.kind === "resource-exhausted");
      assert.ok(taken > 4 && taken < 24, `${taken} prompts of 4 MiB were taken`);
      const embedding = engine.embed({ id: "e", tokenIds: storyIds }, new AbortController().signal);
      await assert.rejects(
        embedding,
        (thrown) => thrown instanceof EngineError && thrown.kind === "resource-exhausted",
      );
    } finally {
      process.kill(child, "SIGCONT");
      await engine.close(0);
    }
  });

  it("refuses a truncated model with a sentence and leaves nothing running", async () => {
    const directory = mkdtempSync(join(tmpdir(), "tokenwire-gguf-"));
    try {
      const modelPath = join(directory, "cut.gguf");
      writeFileSync(modelPath, readFileSync(demoModelPath).subarray(0, 3_000_000));
      const engine = createDemoEngine({ modelPath });
      await assert.rejects(
        () => engine.start(),
        (thrown) =>
          thrown instanceof EngineError && thrown.kind === "failed-precondition" && thrown.message.includes(modelPath),
      );
      assert.equal(engine.state.t, "dead");
      await engine.close(0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

/** The one child process of a process, from ps. */
function childOf(pid: number): number {
  const lines = execFileSync("ps", ["-o", "pid=,args=", "--ppid", String(pid)], { encoding: "utf8" }).split("\n");
  const line = lines.find((each) => each.includes("llama/child/main"));
  assert.ok(line, "the engine's child process is not there");
  return Number.parseInt(line, 10);
}

/** CPU time that a process has used: user and system, fields 14 and 15 of proc(5)'s stat, in ticks of 10 ms. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Pieces by token id, from the tokenizer that the engine gives away. */
async function vocabularyOf(engine: Engine): Promise<Map<number, string>> {
  const file = (await engine.tokenizerFiles()).find(({ name }) => name === "tokenizer.json");
  assert.ok(file);
  const { model } = JSON.parse(new TextDecoder().decode(file.bytes)) as { model: { vocab: Record<string, number> } };
  return new Map(Object.entries(model.vocab).map(([piece, id]) => [id, piece]));
}
