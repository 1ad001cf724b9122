import { randomInt } from "node:crypto";
import { EngineCoreError } from "../engine-core-error.ts";
import type { UtilityOutput } from "../protocol/outputs.ts";

interface OpenCall {
  readonly engineIndex: number;
  readonly method: string;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** Utility calls that are not answered yet. Answers to calls that nobody waits for any more are dropped. */
export class UtilityCalls {
  readonly #open = new Map<number, OpenCall>();
  /**
   * Begins anywhere: an engine that was another client's may still answer that client's calls. Stays below 2^53 for longer
   * than any process lives.
   */
  #lastId: number = randomInt(2 ** 47);

  begin(
    engineIndex: number,
    method: string,
    signal: AbortSignal | undefined,
  ): { readonly id: number; readonly answer: Promise<unknown> } {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise<unknown>((resolve, reject) => {
      const onAbort = (): void => {
        this.#open.delete(id);
        reject(signal?.reason);
      };
      const leave = (): void => signal?.removeEventListener("abort", onAbort);
      this.#open.set(id, {
        engineIndex,
        method,
        resolve: (result) => {
          leave();
          resolve(result);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
    return { id, answer };
  }

  end({ callId, failure, result }: UtilityOutput): void {
    const call = this.#open.get(callId);
    if (call === undefined) return;
    this.#open.delete(callId);
    if (failure === undefined) call.resolve(result);
    else call.reject(new EngineCoreError({ kind: "call-failed", method: call.method }, failure));
  }

  failOf(engineIndex: number, error: EngineCoreError): void {
    for (const [id, call] of this.#open) {
      if (call.engineIndex !== engineIndex) continue;
      this.#open.delete(id);
      call.reject(error);
    }
  }

  failAll(error: EngineCoreError): void {
    for (const call of this.#open.values()) call.reject(error);
    this.#open.clear();
  }
}
