import { type Fuzzer, seedOf } from "./fuzzer.ts";
import { failureOf, minimise } from "./minimise.ts";
import { mutate } from "./mutate.ts";
import type { Random } from "./random.ts";

/** An input that breaks a rule, and the smallest that was found to do it too. */
export interface Finding {
  readonly fuzzer: string;
  readonly sentence: string;
  readonly input: Uint8Array;
  readonly smallest: Uint8Array;
}

/** Inputs that did something new and are changed further; bounded, because a rare answer may hold a number. */
const maxKept = 4_000;

/** A run of one fuzzer: made inputs and changed ones by turns. */
export class Campaign {
  readonly #fuzzer: Fuzzer;
  readonly #random: Random;
  readonly #pool: Uint8Array[];
  readonly #outcomes = new Set<string>();
  /** Inputs that ran. */
  inputs = 0;

  constructor(fuzzer: Fuzzer, corpus: readonly Uint8Array[], random: Random) {
    this.#fuzzer = fuzzer;
    this.#random = random;
    this.#pool = [...corpus];
  }

  /** How many different things inputs did. */
  get outcomes(): number {
    return this.#outcomes.size;
  }

  /** Runs so many inputs, or up to the first finding. `before` sees each input first, for a watch over hangs. */
  async run(inputs: number, before: (input: Uint8Array) => void = () => undefined): Promise<Finding | undefined> {
    const fuzzer = this.#fuzzer;
    for (let left = inputs; left > 0; left -= 1) {
      const input = this.#next();
      before(input);
      this.inputs += 1;
      try {
        const answer = fuzzer.check(input);
        const outcome = typeof answer === "string" ? answer : await answer;
        if (this.#outcomes.size < maxKept && !this.#outcomes.has(outcome)) {
          this.#outcomes.add(outcome);
          this.#pool.push(input);
        }
      } catch (thrown) {
        return await this.#finding(input, thrown);
      }
    }
    return undefined;
  }

  #next(): Uint8Array {
    const random = this.#random;
    if (this.#pool.length === 0 || random.oneIn(2)) return this.#fuzzer.make(random);
    return mutate(random.pick(this.#pool), random.pick(this.#pool), random, this.#fuzzer.maxBytes);
  }

  async #finding(input: Uint8Array, thrown: unknown): Promise<Finding> {
    const sentence = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    const isRepeatable = (await failureOf(this.#fuzzer, input)) !== undefined;
    const smallest = isRepeatable ? await minimise(this.#fuzzer, input) : input;
    return { fuzzer: this.#fuzzer.name, sentence: isRepeatable ? sentence : `once only: ${sentence}`, input, smallest };
  }
}

/** The name of a finding's file: short, and the same for the same bytes. */
export function fileNameOf({ smallest }: Finding): string {
  return `found-${seedOf(smallest).toString(16).padStart(8, "0")}`;
}
