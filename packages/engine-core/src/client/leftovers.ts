import type { EngineCoreOutput } from "../protocol/outputs.ts";

/** Ids that were taken back and may still come; beyond them the oldest is taken back a second time, which does nothing. */
const maxRememberedIds = 10_000;

/** Finds the requests that an earlier front end left in an engine: outputs of theirs come to us now. */
export class Leftovers {
  readonly #ours = new Set<string>();
  readonly #takenBack = new Set<string>();

  /** A request that was handed over by us. */
  ours(requestId: string): void {
    this.#ours.add(requestId);
  }

  /** The ids among these outputs that are nobody's, each once. */
  in(outputs: readonly EngineCoreOutput[]): string[] {
    const found: string[] = [];
    for (const { requestId, finishReason } of outputs) {
      if (this.#ours.has(requestId)) {
        if (finishReason !== undefined) this.#ours.delete(requestId);
      } else if (finishReason === undefined && !this.#takenBack.has(requestId)) {
        this.#remember(requestId);
        found.push(requestId);
      }
    }
    return found;
  }

  /** A request of ours that was aborted: the engine says nothing of it any more. */
  aborted(requestIds: readonly string[]): void {
    for (const id of requestIds) if (this.#ours.delete(id)) this.#remember(id);
  }

  #remember(requestId: string): void {
    this.#takenBack.add(requestId);
    if (this.#takenBack.size <= maxRememberedIds) return;
    const [oldest] = this.#takenBack;
    if (oldest !== undefined) this.#takenBack.delete(oldest);
  }
}
