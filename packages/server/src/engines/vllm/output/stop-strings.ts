import { firstStop } from "../../../text/first-stop.ts";
import { IncrementalDecoder } from "../../../text/incremental-decoder.ts";

/** A stop string that was found, and how many of the tokens given last belong to the output: up to the one that completed it. */
export interface StopMatch {
  readonly text: string;
  readonly keptTokens: number;
}

/**
 * Watches the text of one output for stop strings, because vLLM's engine knows only tokens.
 *
 * The text of control tokens counts, so that a stop string may name one. A stop string that is complete before
 * `minTokens` ends nothing. Memory is bounded by the longest stop string.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  readonly #minTokens: number;
  readonly #decoder: IncrementalDecoder;
  readonly #kept: number;
  #tail = "";
  #tokens = 0;

  /** @param prompt the prompt's ids: the last few decide whether the output's first word begins with a space. */
  constructor(
    stops: readonly string[],
    minTokens: number,
    decode: (tokenIds: readonly number[]) => string,
    prompt: readonly number[],
  ) {
    this.#stops = stops;
    this.#minTokens = minTokens;
    this.#decoder = new IncrementalDecoder(decode, prompt);
    this.#kept = Math.max(0, ...stops.map((stop) => stop.length)) - 1;
  }

  /** Takes the output's next tokens and answers the first stop string that they complete. */
  push(tokenIds: readonly number[]): StopMatch | undefined {
    for (let i = 0; i < tokenIds.length; i++) {
      const text = this.#tail + this.#decoder.push(tokenIds.slice(i, i + 1));
      this.#tokens += 1;
      this.#tail = this.#kept > 0 ? text.slice(-this.#kept) : "";
      if (this.#tokens < this.#minTokens) continue;
      const found = firstStop(text, this.#stops);
      if (found !== undefined) return { text: found.stop, keptTokens: i + 1 };
    }
    return undefined;
  }
}
