import type { Engine } from "../../../engine/engine.ts";
import type { GenerationSink } from "../../../engine/output.ts";
import type { GenerateRequest } from "../../../engine/request.ts";
import { wrapEngine } from "../../../engine/wrap-engine.ts";
import type { Clock } from "../../../operations/clock.ts";

interface Request {
  readonly promptTokens: number;
  outputsLeft: number;
  hasBegun: boolean;
}

/**
 * What was handed to the engine and has not come back, seen from this side: an engine that hangs counts nothing, and
 * its own figures stay what they were.
 */
export class WorkInFlight {
  /** The engine with its requests counted. Everything else is the engine's own. */
  readonly engine: Engine;
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #requests = new Set<Request>();
  #sinceMs = 0;
  #movedAtMs = 0;
  #steps: number | undefined;

  constructor(engine: Engine, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
    this.engine = wrapEngine(engine, { generate: (request, sink) => this.#generate(request, sink) });
  }

  /** Requests for tokens that the engine has and has not ended. */
  get requests(): number {
    return this.#requests.size;
  }

  /** Prompt tokens of those that have produced nothing yet. */
  get prefillPendingTokens(): number {
    let sum = 0;
    for (const request of this.#requests) if (!request.hasBegun) sum += request.promptTokens;
    return sum;
  }

  /** How long the engine has neither given an output nor taken a step while it had requests; undefined without any. */
  get silenceMs(): number | undefined {
    if (this.#requests.size === 0) return undefined;
    this.#lookAtSteps();
    return Math.max(0, this.#clock.nowMs() - Math.max(this.#sinceMs, this.#movedAtMs));
  }

  #generate(request: GenerateRequest, sink: GenerationSink): void {
    const { n } = request.sampling;
    const own: Request = { promptTokens: promptTokensOf(request), outputsLeft: n, hasBegun: false };
    this.#engine.generate(request, {
      delta: (delta) => {
        this.#movedAtMs = this.#clock.nowMs();
        own.hasBegun = true;
        if (delta.finish !== undefined && --own.outputsLeft === 0) this.#requests.delete(own);
        sink.delta(delta);
      },
      failed: (error) => {
        this.#movedAtMs = this.#clock.nowMs();
        this.#requests.delete(own);
        sink.failed(error);
      },
    });
    if (this.#requests.size === 0) this.#sinceMs = this.#clock.nowMs();
    this.#requests.add(own);
  }

  #lookAtSteps(): void {
    const { progress } = this.#engine;
    if (progress === undefined || progress.steps === this.#steps) return;
    this.#steps = progress.steps;
    this.#movedAtMs = Math.max(this.#movedAtMs, progress.receivedAtMs);
  }
}

/** Characters of a text that make a token, roughly and over the languages. */
const charactersPerToken = 4;

function promptTokensOf({ prompt }: GenerateRequest): number {
  if (prompt.kind === "tokens") return prompt.tokenIds.length;
  return Math.min(Math.ceil(prompt.text.length / charactersPerToken), prompt.truncateToTokens ?? Infinity);
}
