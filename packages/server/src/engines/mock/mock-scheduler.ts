import type { EngineError } from "../../engine/errors.ts";
import type { EngineLoad, ModelFacts } from "../../engine/facts.ts";
import type { GenerationSink } from "../../engine/output.ts";
import type { GenerateRequest } from "../../engine/request.ts";
import { MockLoadMeter, type MockOccupancy } from "./mock-load.ts";
import { MockRequest, type ScriptedFailure } from "./mock-request.ts";
import type { MockScript } from "./mock-script.ts";

/** One output of a request: what takes a slot. */
interface Sequence {
  readonly request: MockRequest;
  readonly index: number;
}

const defaultOutputs: readonly string[] = ["The scripted engine says this sentence and then stops."];

/** First come, first served: outputs wait for one of `maxNumSeqs` slots and get one token per step there. */
export class MockScheduler {
  readonly #facts: ModelFacts;
  readonly #outputs: readonly (readonly number[])[];
  readonly #cachedTokens: number;
  readonly #meter = new MockLoadMeter();
  #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  /** Aborted requests whose streams the next step ends. Their slots are free already. */
  #aborted: MockRequest[] = [];
  #accepted = 0;
  #idleListeners: (() => void)[] = [];

  constructor(facts: ModelFacts, script: MockScript) {
    this.#facts = facts;
    this.#outputs = (script.outputs ?? defaultOutputs).map((output) =>
      typeof output === "string" ? Array.from(new TextEncoder().encode(output)) : output,
    );
    this.#cachedTokens = script.cachedTokens ?? 0;
  }

  get busy(): boolean {
    return this.#running.length + this.#waiting.length > 0;
  }

  /** A step would do something. */
  get hasWork(): boolean {
    return this.busy || this.#aborted.length > 0;
  }

  get occupancy(): MockOccupancy {
    return {
      runningRequests: this.#running.length,
      waitingRequests: this.#waiting.length,
      waitingPromptTokens: this.#waiting.reduce((sum, { request }) => sum + request.promptTokens, 0),
      usedKvTokens: this.#running.reduce((sum, { request, index }) => sum + request.tokensHeld(index), 0),
    };
  }

  load(nowMs: number): EngineLoad {
    return this.#meter.load(this.#facts, this.occupancy, nowMs);
  }

  add(generate: GenerateRequest, sink: GenerationSink, failure: ScriptedFailure | undefined): void {
    const order = this.#accepted++;
    const request = new MockRequest({
      request: generate,
      sink,
      facts: this.#facts,
      cachedTokens: this.#cachedTokens,
      scriptOf: (index) => this.#outputs[(order + index) % this.#outputs.length] ?? [],
      failure,
    });
    for (let index = 0; index < request.outputs; index++) this.#waiting.push({ request, index });
  }

  /** Frees the slots of a request at once; the next step ends its stream. */
  abort(requestId: string): void {
    const found = [...this.#running, ...this.#waiting].find(({ request }) => request.id === requestId);
    if (found === undefined) return;
    this.#drop(found.request);
    this.#aborted.push(found.request);
  }

  /** Gives every running output a token and answers how many tokens that were. */
  step(nowMs: number): number {
    const aborted = this.#aborted;
    this.#aborted = [];
    for (const request of aborted) request.abort();
    this.#admit();
    let tokens = 0;
    for (const sequence of [...this.#running]) {
      const { request, index } = sequence;
      if (!this.#running.includes(sequence)) continue;
      const error = request.failureBefore(index);
      if (error !== undefined) {
        this.#drop(request);
        request.fail(error);
        continue;
      }
      tokens += 1;
      if (request.step(index)) this.#running = this.#running.filter((other) => other !== sequence);
    }
    this.#meter.stepped(nowMs, tokens);
    this.#tellIdle();
    return tokens;
  }

  failAll(error: EngineError): void {
    const requests = new Set([...this.#running, ...this.#waiting].map(({ request }) => request));
    for (const request of this.#aborted) requests.add(request);
    this.#running = [];
    this.#waiting = [];
    this.#aborted = [];
    for (const request of requests) request.fail(error);
    this.#tellIdle();
  }

  /** Calls once, as soon as nothing runs or waits. */
  onIdle(listener: () => void): void {
    this.#idleListeners.push(listener);
  }

  #admit(): void {
    while (this.#running.length < this.#facts.maxNumSeqs) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#running.push(next);
      if (next.index === 0) this.#meter.prefilled(next.request.promptTokens, next.request.cachedTokens);
    }
  }

  #drop(request: MockRequest): void {
    this.#running = this.#running.filter((sequence) => sequence.request !== request);
    this.#waiting = this.#waiting.filter((sequence) => sequence.request !== request);
  }

  #tellIdle(): void {
    if (this.hasWork) return;
    const listeners = this.#idleListeners;
    this.#idleListeners = [];
    for (const listener of listeners) listener();
  }
}
