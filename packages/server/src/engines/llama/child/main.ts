import { EngineError } from "../../../engine/errors.ts";
import { CpuProfiler } from "../../../operations/cpu-profiler.ts";
import type { ErrorFacts, FromChild, LlamaChildOptions, ToChild } from "../ipc.ts";
import { loadAddon } from "./addon.ts";
import { Embedder } from "./embedder.ts";
import { createGenerationContext, type LlamaModel, loadModel } from "./model.ts";
import { Scheduler } from "./scheduler.ts";

/** The llama engine's child process: it answers its parent over IPC and ends with it. */

interface Loaded {
  readonly model: LlamaModel;
  readonly options: LlamaChildOptions;
  readonly embedder: Embedder;
  /** Undefined for a model that only embeds. */
  readonly scheduler: Scheduler | undefined;
}

let loaded: Loaded | undefined;

function send(message: FromChild): void {
  if (process.connected) process.send?.(message);
}

function errorFacts(thrown: unknown): ErrorFacts {
  const { kind, message, field } = EngineError.from(thrown);
  return { kind, message, field };
}

async function load(options: LlamaChildOptions): Promise<Loaded> {
  // What llama.cpp complains of goes to standard error, whose last lines the parent keeps.
  const addon = await loadAddon((line) => process.stderr.write(`${line}\n`));
  const model = await loadModel(addon, options, options.vocabSize, (progress) => send({ t: "loading", progress }));
  const embedder = new Embedder(model, options);
  if (!options.isGeneration) return { model, options, embedder, scheduler: undefined };
  const context = await createGenerationContext(model, options);
  const scheduler = new Scheduler({
    model,
    context,
    ...options,
    onStep: (deltas, failures, counters, kvEvents) => send({ t: "step", deltas, failures, counters, kvEvents }),
  });
  return { model, options, embedder, scheduler };
}

function generate({ model, options, scheduler }: Loaded, message: ToChild & { t: "generate" }): void {
  const { id, prompt, sampling } = message;
  if (scheduler === undefined) return;
  try {
    scheduler.add(id, promptTokens(model, options, prompt), sampling);
  } catch (thrown) {
    scheduler.refuse(id, EngineError.from(thrown));
  }
}

function promptTokens(
  model: LlamaModel,
  { maxModelLenTokens }: LlamaChildOptions,
  prompt: (ToChild & { t: "generate" })["prompt"],
): number[] {
  if (prompt.kind === "tokens") return Array.from(prompt.tokenIds);
  const all = model.tokenize(prompt.text);
  const tokenIds = prompt.truncateToTokens === undefined ? all : all.slice(-prompt.truncateToTokens);
  if (tokenIds.length === 0) throw new EngineError("invalid-argument", "text: gives no token", { field: "text" });
  if (tokenIds.length >= maxModelLenTokens) {
    const bound = `must be below the context of ${maxModelLenTokens} tokens`;
    throw new EngineError("invalid-argument", `text: the prompt has ${tokenIds.length} tokens; ${bound}`, {
      field: "text",
    });
  }
  return tokenIds;
}

function embed({ embedder }: Loaded, { id, tokenIds }: ToChild & { t: "embed" }): void {
  embedder.embed(id, tokenIds).then(
    (values) => send({ t: "embedding", id, values, promptTokens: tokenIds.length }),
    (thrown: unknown) => send({ t: "embed-failed", id, error: errorFacts(thrown) }),
  );
}

const profiler = new CpuProfiler();

function profile(call: number, work: Promise<void>): void {
  work.then(
    () => send({ t: "profiled", call, error: undefined }),
    (thrown: Error) => {
      const error = new EngineError("failed-precondition", `the engine's profile: ${thrown.message}`);
      send({ t: "profiled", call, error: errorFacts(error) });
    },
  );
}

const idleCounters = {
  steps: 0,
  generatedTokens: 0,
  runningRequests: 0,
  waitingRequests: 0,
  waitingPromptTokens: 0,
  usedKvTokens: 0,
  cacheHitRate: 0,
};

function answer(now: Loaded, message: Exclude<ToChild, { t: "load" }>): void {
  const { scheduler } = now;
  switch (message.t) {
    case "generate":
      generate(now, message);
      break;
    case "abort":
      scheduler?.abort(message.id);
      now.embedder.abort(message.id);
      break;
    case "embed":
      embed(now, message);
      break;
    case "ping": {
      const { ping } = message;
      if (scheduler === undefined) send({ t: "pong", ping, counters: idleCounters });
      else scheduler.onTurn(() => send({ t: "pong", ping, counters: scheduler.counters() }));
      break;
    }
    case "start-profile":
      profile(message.call, profiler.start(message.path));
      break;
    case "stop-profile":
      profile(message.call, profiler.stop());
      break;
    case "flush-cache": {
      const { call } = message;
      if (scheduler === undefined) send({ t: "flushed", call, flushed: true });
      else scheduler.onTurn(() => send({ t: "flushed", call, flushed: scheduler.flushCache() }));
      break;
    }
  }
}

process.on("message", (message: ToChild) => {
  if (message.t === "load") {
    load(message.options).then(
      (result) => {
        loaded = result;
        send({ t: "ready", model: result.model.facts() });
      },
      (thrown: unknown) => send({ t: "load-failed", error: errorFacts(thrown) }),
    );
  } else if (loaded !== undefined) {
    answer(loaded, message);
  }
});
// Without its parent the child serves nobody.
process.on("disconnect", () => process.exit(0));
// A terminal, systemd and timeout(1) signal the whole group; the parent decides when the child ends, after the drain.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);
