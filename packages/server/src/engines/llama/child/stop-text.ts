import { firstStop } from "../../../text/first-stop.ts";

/**
 * Watches the text of one output for stop strings, token by token.
 *
 * Characters split over tokens are put together first. The text of control tokens counts, so that a stop string may
 * name one. Memory is bounded by the longest stop string.
 */
export class StopText {
  readonly #stops: readonly string[];
  readonly #keep: number;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #tail = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops;
    this.#keep = Math.max(0, ...stops.map((stop) => stop.length)) - 1;
  }

  /** Adds a token's bytes and answers the stop string that its text completes: the one that begins first. */
  push(bytes: Uint8Array): string | undefined {
    const text = this.#tail + this.#decoder.decode(bytes, { stream: true });
    this.#tail = this.#keep > 0 ? text.slice(-this.#keep) : "";
    return firstStop(text, this.#stops)?.stop;
  }
}
