import { EngineError } from "../../engine/errors.ts";
import type { Embedding, GenerationSink, OutputDelta } from "../../engine/output.ts";
import type { ErrorFacts } from "./ipc.ts";

interface Generation {
  readonly sink: GenerationSink;
  /** Outputs that have not finished. */
  open: number;
}

interface Waiter<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (error: EngineError) => void;
}

/**
 * Everything that somebody waits for from the child: generations by request id, and answers to single calls.
 *
 * When the child dies {@link failAll} ends every one of them, so nobody waits for ever.
 */
export class PendingWork {
  readonly #generations = new Map<string, Generation>();
  readonly #embeddings = new Map<string, Waiter<Embedding>>();
  readonly #pings = new Map<number, Waiter<void>>();
  readonly #flushes = new Map<number, Waiter<boolean>>();
  readonly #profiles = new Map<number, Waiter<void>>();
  #calls = 0;
  #idleWaiters: (() => void)[] = [];

  get generations(): number {
    return this.#generations.size;
  }

  addGeneration(id: string, n: number, sink: GenerationSink): void {
    this.#generations.set(id, { sink, open: n });
  }

  has(id: string): boolean {
    return this.#generations.has(id);
  }

  addEmbedding(id: string): Promise<Embedding> {
    return new Promise((resolve, reject) => this.#embeddings.set(id, { resolve, reject }));
  }

  addPing(): { readonly ping: number; readonly answered: Promise<void> } {
    const ping = ++this.#calls;
    return { ping, answered: new Promise((resolve, reject) => this.#pings.set(ping, { resolve, reject })) };
  }

  addFlush(): { readonly call: number; readonly answered: Promise<boolean> } {
    const call = ++this.#calls;
    return { call, answered: new Promise((resolve, reject) => this.#flushes.set(call, { resolve, reject })) };
  }

  addProfile(): { readonly call: number; readonly answered: Promise<void> } {
    const call = ++this.#calls;
    return { call, answered: new Promise((resolve, reject) => this.#profiles.set(call, { resolve, reject })) };
  }

  /** Hands a delta to its request. What comes for a request that is gone is dropped. */
  delta(id: string, delta: OutputDelta): void {
    const generation = this.#generations.get(id);
    if (generation === undefined) return;
    if (delta.finish !== undefined && --generation.open === 0) this.#forget(id);
    generation.sink.delta(delta);
  }

  generationFailed(id: string, error: EngineError): void {
    const generation = this.#generations.get(id);
    if (generation === undefined) return;
    this.#forget(id);
    generation.sink.failed(error);
  }

  embedded(id: string, embedding: Embedding): void {
    this.#embeddings.get(id)?.resolve(embedding);
    this.#embeddings.delete(id);
  }

  embeddingFailed(id: string, error: EngineError): void {
    this.#embeddings.get(id)?.reject(error);
    this.#embeddings.delete(id);
  }

  ponged(ping: number): void {
    this.#pings.get(ping)?.resolve();
    this.#pings.delete(ping);
  }

  flushed(call: number, flushed: boolean): void {
    this.#flushes.get(call)?.resolve(flushed);
    this.#flushes.delete(call);
  }

  profiled(call: number, error: ErrorFacts | undefined): void {
    const waiter = this.#profiles.get(call);
    this.#profiles.delete(call);
    if (error === undefined) waiter?.resolve();
    else waiter?.reject(engineError(error));
  }

  failAll(error: EngineError): void {
    for (const id of [...this.#generations.keys()]) this.generationFailed(id, error);
    for (const waiters of [this.#embeddings, this.#pings, this.#flushes, this.#profiles]) {
      for (const waiter of waiters.values()) waiter.reject(error);
      waiters.clear();
    }
  }

  /** Resolves when no generation is open. */
  idle(): Promise<void> {
    if (this.#generations.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  ids(): readonly string[] {
    return [...this.#generations.keys()];
  }

  #forget(id: string): void {
    this.#generations.delete(id);
    if (this.#generations.size > 0) return;
    for (const resolve of this.#idleWaiters) resolve();
    this.#idleWaiters = [];
  }
}

/** An error as it crossed from the child, as an error again. */
export function engineError({ kind, message, field }: ErrorFacts): EngineError {
  return new EngineError(kind, message, field === undefined ? {} : { field });
}
