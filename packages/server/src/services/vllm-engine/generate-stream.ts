import type { EngineError } from "../../engine/errors.ts";
import type { GenerationSink, OutputDelta, PromptLogprobs } from "../../engine/output.ts";
import type { GenerateResponse } from "../../generated/vllm_engine.ts";
import type { ServerStreamingCall } from "../../rpc/call.ts";
import { DeltaAccumulator } from "./delta-accumulator.ts";
import { chunkOf, completeOf, streamedCompleteOf } from "./generate-response.ts";

/** What becomes of an answer that is being written. */
export interface AnswerOutcome {
  /** The last message was written. */
  done(): void;
  failed(error: EngineError): void;
}

/**
 * Writes each delta as a chunk, and after an output's last one its Complete at once.
 *
 * While the client reads slower than the engine produces, deltas of the same index are joined into one that waits, so
 * that a slow reader costs at most one message per output.
 */
export class ChunkedAnswer implements GenerationSink {
  readonly #call: ServerStreamingCall<GenerateResponse>;
  readonly #outcome: AnswerOutcome;
  #unfinished: number;
  #blocked = false;
  /** What waits for a slow reader, in the order in which it began to wait. */
  readonly #pending = new Map<number, DeltaAccumulator>();
  readonly #completionTokens: number[];
  /** Kept until an output ends, because its Complete repeats them. */
  readonly #promptLogprobs = new Map<number, PromptLogprobs>();

  constructor(call: ServerStreamingCall<GenerateResponse>, outputs: number, outcome: AnswerOutcome) {
    this.#call = call;
    this.#unfinished = outputs;
    this.#completionTokens = new Array<number>(outputs).fill(0);
    this.#outcome = outcome;
  }

  delta(delta: OutputDelta): void {
    if (!this.#blocked) {
      this.#write(delta);
      return;
    }
    let pending = this.#pending.get(delta.index);
    if (pending === undefined) {
      pending = new DeltaAccumulator(delta.index);
      this.#pending.set(delta.index, pending);
    }
    pending.add(delta);
  }

  failed(error: EngineError): void {
    // What the engine made before it failed is the client's; at most one message per output goes past the reader's pace.
    for (const pending of this.#pending.values()) this.#call.write(chunkOf(pending.joined()));
    this.#pending.clear();
    this.#outcome.failed(error);
  }

  #write(delta: OutputDelta): void {
    let goesOn = this.#call.write(chunkOf(delta));
    const tokens = (this.#completionTokens[delta.index] ?? 0) + delta.tokenIds.length;
    this.#completionTokens[delta.index] = tokens;
    if (delta.promptLogprobs !== undefined) this.#promptLogprobs.set(delta.index, delta.promptLogprobs);
    if (delta.finish !== undefined) {
      const promptLogprobs = this.#promptLogprobs.get(delta.index);
      this.#promptLogprobs.delete(delta.index);
      // Not held back for a slow reader: one more small message per output, and nothing follows it.
      goesOn = this.#call.write(streamedCompleteOf({ ...delta, promptLogprobs }, delta.finish, tokens));
      this.#unfinished -= 1;
      if (this.#unfinished === 0) this.#outcome.done();
    }
    if (!goesOn && this.#unfinished > 0) this.#block();
  }

  #block(): void {
    this.#blocked = true;
    void this.#call.drained().then(() => this.#flush());
  }

  #flush(): void {
    this.#blocked = false;
    for (const [index, pending] of this.#pending) {
      this.#pending.delete(index);
      this.#write(pending.joined());
      if (this.#blocked || this.#call.signal.aborted) return;
    }
  }
}

/** Gathers every output and writes one Complete per index when all have ended. */
export class WholeAnswer implements GenerationSink {
  readonly #call: ServerStreamingCall<GenerateResponse>;
  readonly #outcome: AnswerOutcome;
  readonly #outputs: readonly DeltaAccumulator[];
  #unfinished: number;

  constructor(call: ServerStreamingCall<GenerateResponse>, outputs: number, outcome: AnswerOutcome) {
    this.#call = call;
    this.#outcome = outcome;
    this.#outputs = Array.from({ length: outputs }, (_, index) => new DeltaAccumulator(index));
    this.#unfinished = outputs;
  }

  delta(delta: OutputDelta): void {
    this.#outputs[delta.index]?.add(delta);
    if (delta.finish === undefined) return;
    this.#unfinished -= 1;
    if (this.#unfinished === 0) void this.#writeAll();
  }

  failed(error: EngineError): void {
    this.#outcome.failed(error);
  }

  async #writeAll(): Promise<void> {
    for (const output of this.#outputs) {
      const whole = output.joined();
      if (whole.finish === undefined) continue;
      if (!this.#call.write(completeOf(whole, whole.finish))) await this.#call.drained();
      if (this.#call.signal.aborted) return;
    }
    this.#outcome.done();
  }
}
