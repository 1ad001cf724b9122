import { GrpcStatusError } from "../../rpc/status.ts";

/** What a request asks of the engine. */
export interface RequestWork {
  readonly outputs: number;
  readonly promptTokens: number;
}

/** Sums over all requests that the engine has not let go of, also those whose call has ended. */
interface Counts {
  unfinishedOutputs: number;
  queuedPromptTokens: number;
}

/** One request between its admission and the end of its call. */
export class InFlightRequest {
  /** What the engine knows it by: never reused, so that a caller may reuse an id as soon as its call has ended. */
  readonly engineId: string;
  readonly #abort: (engineId: string) => void;
  readonly #counts: Counts;
  #unfinishedOutputs: number;
  #queuedPromptTokens: number;

  constructor(engineId: string, work: RequestWork, abort: (engineId: string) => void, counts: Counts) {
    this.engineId = engineId;
    this.#unfinishedOutputs = work.outputs;
    this.#queuedPromptTokens = work.promptTokens;
    this.#abort = abort;
    this.#counts = counts;
    counts.unfinishedOutputs += work.outputs;
    counts.queuedPromptTokens += work.promptTokens;
  }

  /** Outputs that the engine still works on. */
  get unfinishedOutputs(): number {
    return this.#unfinishedOutputs;
  }

  /** The first output came: the prompt is computed. */
  begun(): void {
    if (this.#queuedPromptTokens === 0) return;
    this.#counts.queuedPromptTokens -= this.#queuedPromptTokens;
    this.#queuedPromptTokens = 0;
  }

  /** The engine is done with one output, whether or not the client has read it. */
  outputFinished(): void {
    this.#finish(1);
  }

  /** The engine is done with the request: it failed, or was never taken. */
  allFinished(): void {
    this.#finish(this.#unfinishedOutputs);
  }

  #finish(outputs: number): void {
    this.#unfinishedOutputs -= outputs;
    this.#counts.unfinishedOutputs -= outputs;
    if (this.#unfinishedOutputs === 0) this.begun();
  }

  abort(): void {
    this.#abort(this.engineId);
  }
}

/** The requests in flight by the id that their caller gave them. */
export class InFlightRequests {
  readonly #byCallerId = new Map<string, InFlightRequest>();
  #accepted = 0;
  readonly #counts: Counts = { unfinishedOutputs: 0, queuedPromptTokens: 0 };
  /** When the engine last gave us something, milliseconds since the epoch; 0 before the first. */
  lastReceivedAtMs = 0;

  /** Requests whose call has not ended. */
  get size(): number {
    return this.#byCallerId.size;
  }

  /** Outputs that the engine works on or has queued, of calls that have not ended. */
  get unfinishedOutputs(): number {
    let sum = 0;
    for (const request of this.#byCallerId.values()) sum += request.unfinishedOutputs;
    return sum;
  }

  /** Outputs whose call has ended and which the engine has not let go of yet: more than a few while it is stuck. */
  get abandonedOutputs(): number {
    return this.#counts.unfinishedOutputs - this.unfinishedOutputs;
  }

  /** Prompt tokens that were handed to the engine and have given no output yet, of calls that have ended too. */
  get queuedPromptTokens(): number {
    return this.#counts.queuedPromptTokens;
  }

  /**
   * Takes a request in; the caller must {@link remove} it when its call ends.
   *
   * @throws GrpcStatusError ALREADY_EXISTS when a request with this id is in flight.
   */
  add(callerId: string, work: RequestWork, abort: (engineId: string) => void): InFlightRequest {
    if (this.#byCallerId.has(callerId)) {
      const shown = JSON.stringify(callerId);
      throw GrpcStatusError.of("ALREADY_EXISTS", `request_id: a request with the id ${shown} is in flight`);
    }
    this.#accepted += 1;
    const request = new InFlightRequest(`${callerId}-${this.#accepted}`, work, abort, this.#counts);
    this.#byCallerId.set(callerId, request);
    return request;
  }

  remove(callerId: string): void {
    this.#byCallerId.delete(callerId);
  }

  /** Does nothing for an unknown id. */
  abort(callerId: string): void {
    this.#byCallerId.get(callerId)?.abort();
  }
}
