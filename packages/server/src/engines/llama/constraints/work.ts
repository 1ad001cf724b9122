import { ConstraintError } from "./constraint-error.ts";
import { MAX_WORK } from "./limits.ts";

/**
 * The steps that the conversion of one constraint has taken. A schema can hold thousands of patterns that are each within
 * their own bounds; this is the bound of all of them together.
 */
export class Work {
  #spent = 0;

  get spent(): number {
    return this.#spent;
  }

  /** Throws `ConstraintError` beyond `MAX_WORK`. */
  spend(steps: number): void {
    this.#spent += steps;
    if (this.#spent > MAX_WORK) throw new ConstraintError("is too large: converting it takes too many steps");
  }
}
