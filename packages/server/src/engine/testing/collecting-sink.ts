import type { EngineError } from "../errors.ts";
import type { Finish, GenerationSink, OutputDelta } from "../output.ts";

/** How a request ended, as a value: its deltas, or the error that ended it. */
export type Collected =
  | { readonly t: "finished"; readonly deltas: readonly OutputDelta[] }
  | { readonly t: "failed"; readonly error: EngineError; readonly deltas: readonly OutputDelta[] };

/**
 * A sink that keeps all it gets and lets a test wait for a moment of the stream instead of sleeping.
 *
 * It throws when an engine pushes something after the end, or finishes an index twice.
 */
export class CollectingSink implements GenerationSink {
  readonly deltas: OutputDelta[] = [];
  readonly #n: number;
  readonly #finished = new Map<number, Finish>();
  #error: EngineError | undefined;
  #waiters: { readonly met: () => boolean; readonly resolve: () => void }[] = [];

  /** @param n how many outputs the request asks for. */
  constructor(n = 1) {
    this.#n = n;
  }

  delta(delta: OutputDelta): void {
    if (this.ended) throw new Error(`a delta of index ${delta.index} came after the end`);
    if (this.#finished.has(delta.index)) throw new Error(`a delta of index ${delta.index} came after its finish`);
    this.deltas.push(delta);
    if (delta.finish !== undefined) this.#finished.set(delta.index, delta.finish);
    this.#look();
  }

  failed(error: EngineError): void {
    if (this.ended) throw new Error("an error came after the end", { cause: error });
    this.#error = error;
    this.#look();
  }

  get ended(): boolean {
    return this.#error !== undefined || this.#finished.size === this.#n;
  }

  /** Resolves when the request has ended, one way or the other. Never rejects. */
  async end(): Promise<Collected> {
    await this.#until(() => this.ended);
    return this.#error === undefined
      ? { t: "finished", deltas: this.deltas }
      : { t: "failed", error: this.#error, deltas: this.deltas };
  }

  /** Resolves when so many deltas are there, or when the request has ended with fewer. */
  async count(deltas: number): Promise<void> {
    await this.#until(() => this.ended || this.deltas.length >= deltas);
  }

  /** All token ids of an index so far. */
  tokenIds(index = 0): number[] {
    return this.deltas.filter((delta) => delta.index === index).flatMap((delta) => [...delta.tokenIds]);
  }

  finish(index = 0): Finish | undefined {
    return this.#finished.get(index);
  }

  #until(met: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ met, resolve });
      this.#look();
    });
  }

  #look(): void {
    const met = this.#waiters.filter((waiter) => waiter.met());
    this.#waiters = this.#waiters.filter((waiter) => !met.includes(waiter));
    for (const waiter of met) waiter.resolve();
  }
}
