import type { EngineCoreOutputs } from "@tokenwire/engine-core";
import { EngineError } from "../../engine/errors.ts";
import type { Log } from "../../operations/log.ts";
import type { OpenEmbedding, OpenOutput, OpenRequest, OpenWork } from "./open-work.ts";
import { embeddingOf } from "./output/embedding.ts";
import { stepOutputOf } from "./step-output.ts";

type CoreOutput = EngineCoreOutputs["outputs"][number];

export interface OutputIntakeOptions {
  readonly work: OpenWork;
  readonly log: Log;
  /** Ends an output in its engine. */
  abort(output: OpenOutput): void;
  /** Ends what is left of a request in the engines, and answers it. */
  takeBack(request: OpenRequest): readonly OpenOutput[];
}

/** Hands what the engines say to those who wait for it, and counts it. */
export class OutputIntake {
  readonly #options: OutputIntakeOptions;
  #steps = 0;
  #generatedTokens = 0;
  #receivedAtMs: number | undefined;
  #reportsSteps = false;

  constructor(options: OutputIntakeOptions) {
    this.#options = options;
  }

  /** Steps that are known of, of all engines. */
  get steps(): number {
    return this.#steps;
  }

  /** Each step is known of, also one without an output, because the engine has its statistics on. */
  get reportsSteps(): boolean {
    return this.#reportsSteps;
  }

  get generatedTokens(): number {
    return this.#generatedTokens;
  }

  /** When the last message came, on the clock of `performance.now()`; undefined before the first. */
  get receivedAtMs(): number | undefined {
    return this.#receivedAtMs;
  }

  /** One message holds all that a step of one engine has to say: a single pass, and nothing is made per token but its delta. */
  receive(message: EngineCoreOutputs): void {
    const { outputs } = message;
    this.#receivedAtMs = performance.now();
    if (outputs.length === 0) {
      // A part of a long prompt, or the answer to a call.
      if (hasStatistics(message)) this.#steps += 1;
      return;
    }
    this.#steps += 1;
    this.#reportsSteps ||= hasStatistics(message);
    for (const output of outputs) {
      const entry = this.#options.work.find(output.requestId);
      // Nobody here waits for what was on its way when it was aborted.
      if (entry === undefined) continue;
      try {
        if (entry.t === "output") this.#step(entry, output);
        else this.#embedded(entry, output);
      } catch (thrown) {
        this.#broke(entry, thrown);
      }
    }
  }

  #step(entry: OpenOutput, output: CoreOutput): void {
    const { work, abort, takeBack } = this.#options;
    const { sequence, load } = entry;
    const hadBegun = sequence.hasBegun;
    const tokens = output.newTokenIds.length;
    this.#generatedTokens += tokens;
    const after = sequence.step(stepOutputOf(output));
    if (!hadBegun && sequence.hasBegun) load.began(sequence);
    entry.tokens += tokens;
    load.generated(tokens);
    switch (after) {
      case "goes on":
        return;
      case "cut":
        abort(entry);
        work.outputEnded(entry);
        return;
      case "ended":
        work.outputEnded(entry);
        return;
      case "failed":
        work.outputEnded(entry);
        for (const other of takeBack(entry.request)) other.sequence.silence();
        return;
    }
  }

  #embedded(entry: OpenEmbedding, { poolingOutput, finishReason, error }: CoreOutput): void {
    if (poolingOutput === undefined && finishReason === undefined) return;
    this.#options.work.embeddingEnded(entry);
    if (poolingOutput !== undefined) {
      entry.resolve(embeddingOf(poolingOutput, entry.promptTokens));
      return;
    }
    const because = error ?? `it ended it with ${finishReason}`;
    entry.reject(new EngineError("unavailable", `the engine pooled nothing: ${because}`));
  }

  /** What one request makes of its output must not end those of the others. */
  #broke(entry: OpenOutput | OpenEmbedding, thrown: unknown): void {
    const { work, log, takeBack } = this.#options;
    log.error({ engine: "vllm", reason: "output-failed", err: thrown }, "an output could not be taken");
    const error = new EngineError("internal", "an output of the engine could not be taken", { cause: thrown });
    if (entry.t === "embedding") {
      work.embeddingEnded(entry);
      entry.reject(error);
    } else if (work.request(entry.request.id) === entry.request) {
      takeBack(entry.request);
      entry.request.sink.failed(error);
    }
  }
}

/** The scheduler makes them with each step and with nothing else (vllm/v1/core/sched/scheduler.py, update_from_output). */
function hasStatistics(message: EngineCoreOutputs): boolean {
  try {
    return message.schedulerStats() !== undefined;
  } catch {
    // Figures that cannot be read are as good as none; the outputs beside them were read.
    return false;
  }
}
