import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { MockEngineCore } from "@tokenwire/engine-core/testing";
import type { Engine } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { GenerateRequest, SamplingParams } from "../../engine/request.ts";
import type { EngineState } from "../../engine/state.ts";
import { CollectingSink } from "../../engine/testing/collecting-sink.ts";
import { greedySampling } from "../../engine/testing/sampling.ts";
import { demoFolder, type VllmRigOptions, vllmRig } from "./testing/vllm-rig.ts";

const endless: Partial<SamplingParams> = { ignoreEos: true, maxTokens: undefined };
const promptIds = [300, 301, 302];

let ids = 0;

function requestWith(
  sampling: Partial<SamplingParams> = {},
  changes: Partial<Omit<GenerateRequest, "sampling">> = {},
): GenerateRequest {
  return {
    id: `test-${ids++}`,
    prompt: { kind: "tokens", tokenIds: Uint32Array.from(promptIds) },
    sampling: greedySampling(sampling),
    ...changes,
  };
}

function generate(engine: Engine, sampling: Partial<SamplingParams> = {}, changes: Partial<GenerateRequest> = {}) {
  const request = requestWith(sampling, changes);
  const sink = new CollectingSink(request.sampling.n);
  engine.generate(request, sink);
  return { id: request.id, sink };
}

const isError =
  (kind: EngineError["kind"], message: RegExp) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof EngineError, String(thrown));
    assert.deepEqual([thrown.kind, message.test(thrown.message)], [kind, true], thrown.message);
    return true;
  };

/** Resolves when the engine enters the state. */
function entered(engine: Engine, t: EngineState["t"]): Promise<EngineState> {
  return new Promise((resolve) => {
    const stop = engine.onState((state) => {
      if (state.t !== t) return;
      stop();
      resolve(state);
    });
  });
}

async function running(options: VllmRigOptions = {}) {
  const rig = vllmRig({ ...options, core: { stepMs: 1, ...options.core } });
  await rig.engine.start();
  const cores = await rig.cores();
  const [core] = cores;
  assert.ok(core !== undefined);
  return { engine: rig.engine, cores, core };
}

describe("the vLLM engine and its core", () => {
  let engine: Engine;
  let core: MockEngineCore;

  before(async () => {
    ({ engine, core } = await running());
  });
  after(() => engine.close(0));

  it("knows the model from its files and its engine together", () => {
    const facts = engine.facts();
    assert.deepEqual(
      [facts.modelPath, facts.modelType, facts.vocabSize, facts.eosTokenIds, facts.maxModelLenTokens],
      [demoFolder, "llama", 2048, [2, 0], 2048],
    );
    assert.deepEqual(
      [facts.maxNumSeqs, facts.kvCacheTokens, facts.blockSizeTokens, facts.modelDtype, facts.dataParallelSize],
      [128, 1_048_576, 128, "float32", 1],
    );
  });

  it("hands a request over with priority and trace context, under an id of its own", async () => {
    const traceHeaders = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" };
    const { id, sink } = generate(engine, { maxTokens: 1 }, { priority: -3, traceHeaders });
    await sink.end();
    const taken = core.requests.at(-1);
    assert.ok(taken !== undefined && taken.requestId !== id);
    assert.deepEqual([taken.promptTokenIds, taken.priority], [promptIds, -3]);
    assert.deepEqual(taken.traceHeaders, new Map(Object.entries(traceHeaders)));
  });

  it("makes n outputs of n requests with seeds of their own", async () => {
    const before = core.requests.length;
    const { sink } = generate(engine, { n: 3, temperature: 1, seed: 5, maxTokens: 2 });
    await sink.end();
    const taken = core.requests.slice(before);
    assert.deepEqual(
      taken.map(({ samplingParams }) => samplingParams.get("seed")),
      [5, 6, 7],
    );
    assert.equal(new Set(taken.map(({ requestId }) => requestId)).size, 3);
  });

  it("tells the engine to abort an output that a stop string cut", async () => {
    const first = generate(engine, { maxTokens: 8, ignoreEos: true });
    await first.sink.end();
    const text = await decoded(first.sink.tokenIds());
    const stop = text.slice(-2);
    const { sink } = generate(engine, { ...endless, stop: [stop] });
    await sink.end();
    assert.deepEqual(sink.finish(), { reason: "stop", matched: { text: stop } });
    await engine.checkHealth();
    assert.deepEqual(core.aborted, [core.requests.at(-1)?.requestId]);
    assert.equal(core.runningRequests, 0);
  });

  it("blames a constraint that does not compile on the request, and lives on", async () => {
    const { sink } = generate(engine, { ...endless, constraint: { kind: "regex", source: "(" } });
    await sink.count(1);
    const other = generate(engine, endless);
    await other.sink.count(1);
    core.failOldest();
    const end = await sink.end();
    assert.ok(end.t === "failed");
    // The mock had given tokens already, so it is the engine's fault and not the constraint's.
    assert.equal(end.error.kind, "unavailable");
    assert.equal(other.sink.ended, false);
    engine.abort(other.id);
  });

  it("ends all outputs of a request when one fails", async () => {
    const { sink } = generate(engine, { ...endless, n: 2, temperature: 1 });
    await sink.count(2);
    core.failOldest();
    const end = await sink.end();
    assert.equal(end.t, "failed");
    await engine.checkHealth();
    assert.equal(core.runningRequests, 0);
  });

  it("serves a long text, which a thread tokenizes", async () => {
    const prompt = { kind: "text", text: "Once upon a time. ".repeat(400), truncateToTokens: 20 } as const;
    const { sink } = generate(engine, { maxTokens: 2 }, { prompt });
    await sink.end();
    assert.deepEqual([sink.finish(), sink.deltas[0]?.promptTokens], [{ reason: "length" }, 20]);
  });

  it("fails a long text that does not fit, after generate has returned", async () => {
    const prompt = { kind: "text", text: "Once upon a time. ".repeat(1000), truncateToTokens: undefined } as const;
    const end = await generate(engine, {}, { prompt }).sink.end();
    assert.ok(end.t === "failed");
    assert.deepEqual([end.error.kind, end.error.field], ["invalid-argument", "text"]);
  });

  it("aborts a request whose text is still being tokenized, and sends none of it", async () => {
    const before = core.requests.length;
    const prompt = { kind: "text", text: "Once upon a time. ".repeat(400), truncateToTokens: 20 } as const;
    const { id, sink } = generate(engine, { n: 2, temperature: 1 }, { prompt });
    engine.abort(id);
    await sink.end();
    assert.deepEqual([sink.finish(0), sink.finish(1)], [{ reason: "abort" }, { reason: "abort" }]);
    const later = generate(engine, { maxTokens: 1 }, { prompt });
    await later.sink.end();
    assert.equal(core.requests.length, before + 1);
  });

  it("fails one request alone when its output cannot be taken", async () => {
    const broken = requestWith(endless);
    let error: EngineError | undefined;
    const failed = new Promise<void>((resolve) => {
      engine.generate(broken, {
        delta: () => {
          throw new Error("a sink that breaks");
        },
        failed: (reason) => {
          error = reason;
          resolve();
        },
      });
    });
    const { id, sink } = generate(engine, endless);
    await failed;
    assert.equal(error?.kind, "internal");
    await sink.count(sink.deltas.length + 2);
    assert.equal(sink.ended, false);
    engine.abort(id);
    await engine.checkHealth();
    assert.equal(core.runningRequests, 0);
  });

  it("refuses what the engine would die of before it is sent", () => {
    const before = core.requests.length;
    const refused = (sampling: Partial<SamplingParams>, changes: Partial<GenerateRequest>, message: RegExp) =>
      assert.throws(
        () => engine.generate(requestWith(sampling, changes), new CollectingSink()),
        isError("invalid-argument", message),
      );
    const tokens = (...tokenIds: number[]) => ({ kind: "tokens", tokenIds: Uint32Array.from(tokenIds) }) as const;
    refused({}, { prompt: tokens(2048) }, /2048/);
    refused({}, { prompt: tokens() }, /./);
    refused({}, { prompt: tokens(...Array.from({ length: 2048 }, () => 5)) }, /2048/);
    refused({ stopTokenIds: [999_999], minTokens: 1 }, {}, /999999/);
    refused({ logitBias: new Map([[999_999, 1]]) }, {}, /999999/);
    refused({ topP: 2.5 }, {}, /2\.5/);
    refused({ logprobs: 1000 }, {}, /1000/);
    refused({ temperature: 2.5 }, {}, /2\.5/);
    refused({}, { dataParallelRank: 7 }, /^data_parallel_rank: must be from 0 to 0, got 7$/);
    refused({ constraint: { kind: "regex", source: "a\0" } }, {}, /NUL/);
    assert.equal(core.requests.length, before);
  });

  it("flushes the prefix cache", async () => {
    assert.equal(await engine.flushCache(), true);
    assert.equal(core.calls.at(-1), "reset_prefix_cache");
  });

  it("says that a model for text makes no embeddings", async () => {
    const embedding = engine.embed({ id: "e", tokenIds: Uint32Array.from(promptIds) }, new AbortController().signal);
    await assert.rejects(embedding, isError("unimplemented", /makes no embeddings/));
  });
});

describe("the vLLM engine and a model for embeddings", () => {
  it("embeds, generates nothing, and gives an embedding up when told to", async () => {
    const { engine, core } = await running({ core: { utilities: { get_supported_tasks: () => ["embed"] } } });
    try {
      assert.equal(engine.facts().isGeneration, false);
      assert.throws(
        () => engine.generate(requestWith(), new CollectingSink()),
        isError("failed-precondition", /embeddings/),
      );
      const tokenIds = Uint32Array.from(promptIds);
      const { values, promptTokens } = await engine.embed({ id: "e", tokenIds }, new AbortController().signal);
      assert.ok(Math.abs(Math.hypot(...values) - 1) < 1e-6);
      assert.equal(promptTokens, 3);
      const abort = new AbortController();
      core.hang();
      const given = engine.embed({ id: "f", tokenIds }, abort.signal);
      abort.abort();
      await assert.rejects(given, isError("unavailable", /given up/));
    } finally {
      await engine.close(0);
    }
  });
});

describe("the vLLM engine and an engine that goes", () => {
  const ways: readonly (readonly [string, (core: MockEngineCore) => void])[] = [
    ["says that it is dead", (core) => core.die()],
    ["is killed", (core) => core.close()],
    ["reads its input no more", (core) => core.goDeaf()],
  ];
  for (const [name, go] of ways) {
    it(`is dead for good when its only core ${name}, and ends its requests unavailable`, async () => {
      const { engine, core } = await running();
      try {
        const { sink } = generate(engine, endless);
        await sink.count(1);
        const dead = entered(engine, "dead");
        go(core);
        const state = await dead;
        assert.ok(state.t === "dead" && state.restartInMs === undefined);
        const end = await sink.end();
        assert.ok(end.t === "failed" && end.error.kind === "unavailable");
        assert.throws(() => engine.generate(requestWith(), new CollectingSink()), isError("unavailable", /./));
        await assert.rejects(engine.checkHealth(), isError("unavailable", /./));
      } finally {
        await engine.close(0);
      }
    });
  }

  it("ends requests that may miss tokens, and serves on, when a message of the core cannot be read", async () => {
    const { engine, core } = await running();
    try {
      const { sink } = generate(engine, endless);
      await sink.count(1);
      core.sendRaw([Uint8Array.of(0xc1)]);
      const end = await sink.end();
      assert.ok(end.t === "failed" && end.error.kind === "unavailable");
      assert.match(end.error.message, /^outputs were lost/);
      const next = generate(engine, { maxTokens: 2 });
      assert.equal((await next.sink.end()).t, "finished");
      assert.equal(core.aborted.length, 1);
    } finally {
      await engine.close(0);
    }
  });

  it("leaves a health check open while the core hangs, and answers it afterwards", async () => {
    const { engine, core } = await running();
    try {
      core.hang();
      const check = engine.checkHealth();
      const soon = new Promise((resolve) => setImmediate(resolve, "open"));
      assert.equal(await Promise.race([check, soon]), "open");
      core.resume();
      await check;
    } finally {
      await engine.close(0);
    }
  });

  it("says that it is paused while the core sleeps or its scheduler is paused", async () => {
    let sleeps = true;
    let pauses = true;
    const utilities = { is_sleeping: () => sleeps, is_scheduler_paused: () => pauses };
    const { engine } = await running({ core: { utilities } });
    try {
      await engine.checkHealth();
      assert.equal(engine.pausedBecause, "engine 0 sleeps");
      sleeps = false;
      await engine.checkHealth();
      assert.equal(engine.pausedBecause, "the scheduler of engine 0 is paused");
      pauses = false;
      await engine.checkHealth();
      assert.equal(engine.pausedBecause, undefined);
    } finally {
      await engine.close(0);
    }
  });

  it("counts a core that fails its own check as broken", async () => {
    const collective = (): never => {
      throw new Error("Executor failed.");
    };
    const { engine } = await running({ core: { utilities: { collective_rpc: collective } } });
    try {
      await assert.rejects(engine.checkHealth(), isError("unavailable", /Executor failed/));
    } finally {
      await engine.close(0);
    }
  });

  it("never calls the workers with a timeout, which would kill a core that can recover", async () => {
    const asked: unknown[] = [];
    const collective = (args: readonly unknown[]) => {
      asked.push(args[1]);
      return [null];
    };
    const { engine } = await running({ core: { utilities: { collective_rpc: collective } } });
    try {
      await engine.checkHealth();
      assert.deepEqual(asked, [null]);
    } finally {
      await engine.close(0);
    }
  });
});

describe("the vLLM engine and two data-parallel cores", () => {
  it("balances requests within 10 % under load", async () => {
    const { engine, cores } = await running({ ranks: 2 });
    try {
      const sinks = Array.from({ length: 400 }, (_, i) => generate(engine, { maxTokens: 1 + (i % 7) }).sink);
      await Promise.all(sinks.map((sink) => sink.end()));
      const [first = 0, second = 0] = cores.map(({ requests }) => requests.length);
      assert.equal(first + second, 400);
      assert.ok(Math.abs(first - second) <= 40, `${first} and ${second}`);
      assert.deepEqual(
        engine.loads().map(({ dpRank }) => dpRank),
        [0, 1],
      );
      assert.equal(engine.facts().maxNumSeqs, 256);
    } finally {
      await engine.close(0);
    }
  });

  it("pins a request to the rank that it asks for", async () => {
    const { engine, cores } = await running({ ranks: 2 });
    try {
      for (let i = 0; i < 3; i++) await generate(engine, { maxTokens: 1 }, { dataParallelRank: 1 }).sink.end();
      assert.deepEqual(
        cores.map(({ requests }) => requests.length),
        [0, 3],
      );
    } finally {
      await engine.close(0);
    }
  });

  it("loses the requests of a core that goes, and serves on with the other", async () => {
    const { engine, cores } = await running({ ranks: 2 });
    try {
      const onFirst = generate(engine, endless, { dataParallelRank: 0 });
      const onSecond = generate(engine, endless, { dataParallelRank: 1 });
      await Promise.all([onFirst.sink.count(1), onSecond.sink.count(1)]);
      cores[0]?.close();
      const end = await onFirst.sink.end();
      assert.ok(end.t === "failed" && end.error.kind === "unavailable");
      assert.deepEqual([onSecond.sink.ended, engine.state.t], [false, "ready"]);
      await engine.checkHealth();
      const { sink } = generate(engine, { maxTokens: 2 });
      await sink.end();
      assert.deepEqual(sink.finish(), { reason: "length" });
      assert.throws(
        () => engine.generate(requestWith({}, { dataParallelRank: 0 }), new CollectingSink()),
        isError("unavailable", /^data-parallel rank 0 is lost$/),
      );
      assert.deepEqual(
        engine.loads().map(({ dpRank }) => dpRank),
        [1],
      );
      const dead = entered(engine, "dead");
      cores[1]?.close();
      await dead;
    } finally {
      await engine.close(0);
    }
  });
});

describe("closing the vLLM engine", () => {
  it("takes back what still runs, because a core lives on without its front end", async () => {
    const { engine, core } = await running();
    const { sink } = generate(engine, endless);
    await sink.count(1);
    await engine.close(0);
    const end = await sink.end();
    assert.ok(end.t === "failed" && end.error.kind === "unavailable");
    while (core.runningRequests > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(core.aborted.length, 1);
  });
});

describe("starting the vLLM engine", () => {
  it("says what is wrong with the model's folder", async () => {
    const { engine } = vllmRig({ ranks: 0, engine: { modelPath: "/nowhere" } });
    try {
      await assert.rejects(engine.start(), isError("failed-precondition", /\/nowhere has no config\.json/));
      assert.equal(engine.state.t, "dead");
    } finally {
      await engine.close(0);
    }
  });

  it("says which address it cannot have", async () => {
    const { engine } = vllmRig({ ranks: 0, engine: { dataParallelSize: 1, inputAddress: "tcp://192.0.2.1:1" } });
    try {
      await assert.rejects(engine.start(), isError("failed-precondition", /192\.0\.2\.1:1/));
    } finally {
      await engine.close(0);
    }
  });

  it("gives up when it is closed while it waits for an engine", async () => {
    const { engine } = vllmRig({ ranks: 0, engine: { dataParallelSize: 1 } });
    const bound = engine.start();
    await engine.close(0);
    await assert.rejects(bound, isError("unavailable", /closed while it was starting/));
    assert.equal(engine.state.t, "closed");
  });
});

async function decoded(tokenIds: readonly number[]): Promise<string> {
  const { readModel } = await import("./model/read-model.ts");
  const { tokenizer } = await readModel(demoFolder);
  assert.ok("decode" in tokenizer);
  return tokenizer.decode(tokenIds, false);
}
