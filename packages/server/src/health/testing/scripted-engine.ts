import type { Engine, StateListener } from "../../engine/engine.ts";
import type { EngineProgress, EngineState } from "../../engine/state.ts";

/** The part of an engine that health sees, played by a test. */
export class ScriptedEngine implements Pick<Engine, "state" | "onState" | "progress" | "checkHealth"> {
  readonly #listeners = new Set<StateListener>();
  #open: { resolve(): void; reject(error: unknown): void }[] = [];
  state: EngineState = { t: "idle" };
  progress: EngineProgress | undefined;
  /** Checks asked so far. */
  checks = 0;
  /** What happens to a check: answered at once, refused at once, or kept until {@link answer}. */
  behaviour: "answer" | "fail" | "hang" = "answer";

  get listeners(): number {
    return this.#listeners.size;
  }

  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  become(state: EngineState): void {
    this.state = state;
    for (const listener of this.#listeners) listener(state);
  }

  sampleAt(receivedAtMs: number): void {
    this.progress = { steps: 1, generatedTokens: 1, runningRequests: 1, waitingRequests: 0, receivedAtMs };
  }

  checkHealth(): Promise<void> {
    this.checks += 1;
    switch (this.behaviour) {
      case "answer":
        return Promise.resolve();
      case "fail":
        return Promise.reject(new Error("the loop is broken"));
      case "hang":
        return new Promise((resolve, reject) => this.#open.push({ resolve, reject }));
    }
  }

  /** Answers every check that hangs. */
  answer(): void {
    for (const { resolve } of this.#open.splice(0)) resolve();
  }

  /** Fails every check that hangs. */
  refuse(): void {
    for (const { reject } of this.#open.splice(0)) reject(new Error("the engine died"));
  }
}
