import type { Engine, StateListener } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { EngineLoad, ModelFacts, TokenizerFile } from "../../engine/facts.ts";
import type { Embedding } from "../../engine/output.ts";
import type { EngineState } from "../../engine/state.ts";

/** An engine that only lives and dies, at the test's word. It computes nothing. */
export class StubEngine implements Engine {
  readonly name = "stub";
  readonly progress = undefined;
  readonly started: Promise<void>;
  state: EngineState = { t: "idle" };
  closeResult: Promise<void> = Promise.resolve();
  readonly #started = Promise.withResolvers<void>();
  readonly #loading = Promise.withResolvers<void>();
  readonly #listeners = new Set<StateListener>();
  readonly #onClose: (graceMs: number) => void;

  constructor(onClose: (graceMs: number) => void = () => undefined) {
    this.started = this.#started.promise;
    this.#onClose = onClose;
  }

  /** Ends the loading that `start` began. */
  load(): void {
    this.become({ t: "ready" });
    this.#loading.resolve();
  }

  failToLoad(message: string): void {
    this.become({ t: "dead", reason: message, restartInMs: undefined });
    this.#loading.reject(new EngineError("failed-precondition", message));
  }

  become(state: EngineState): void {
    this.state = state;
    for (const listener of this.#listeners) listener(state);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  start(): Promise<void> {
    this.become({ t: "starting", progress: undefined });
    this.#started.resolve();
    return this.#loading.promise;
  }

  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(graceMs: number): Promise<void> {
    this.#onClose(graceMs);
    this.#loading.reject(new EngineError("unavailable", "the engine is closed"));
    return this.closeResult;
  }

  facts(): ModelFacts {
    throw unused();
  }

  generate(): void {
    throw unused();
  }

  abort(): void {
    throw unused();
  }

  embed(): Promise<Embedding> {
    return Promise.reject(unused());
  }

  checkHealth(): Promise<void> {
    return Promise.reject(unused());
  }

  loads(): readonly EngineLoad[] {
    return [];
  }

  tokenizerFiles(): Promise<readonly TokenizerFile[]> {
    return Promise.reject(unused());
  }

  flushCache(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

function unused(): EngineError {
  return new EngineError("unimplemented", "the stub engine computes nothing");
}
