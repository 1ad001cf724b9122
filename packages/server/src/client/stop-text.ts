import { firstStop } from "../text/first-stop.ts";

/**
 * Cuts a text at the first of some stop texts, without printing what may turn out to be the beginning of one. Servers
 * stop at the token that completes a stop text, so the text that reaches a client still has it.
 */
export class StopText {
  readonly #stops: readonly string[];
  #held = "";
  #stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes more text and answers the part that is surely before every stop text. */
  push(text: string): string {
    if (this.#stopped) return "";
    const whole = this.#held + text;
    const found = firstStop(whole, this.#stops);
    if (found !== undefined) {
      this.#stopped = true;
      this.#held = "";
      return whole.slice(0, found.at);
    }
    const safe = whole.length - this.#undecided(whole);
    this.#held = whole.slice(safe);
    return whole.slice(0, safe);
  }

  /** Answers what was held back: no more text comes. */
  end(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  /** Length of the longest end of the text that begins a stop text. */
  #undecided(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (stop.startsWith(text.slice(text.length - length))) longest = length;
      }
    }
    return longest;
  }
}
