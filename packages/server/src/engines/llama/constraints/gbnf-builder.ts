import { ConstraintError } from "./constraint-error.ts";
import { type GbnfGrammar, type GbnfNode, reference } from "./gbnf.ts";
import { MAX_RULES } from "./limits.ts";

/**
 * Collects the rules of a grammar under names that llama.cpp takes (letters, digits and hyphens). Throws
 * `ConstraintError` beyond `MAX_RULES` rules.
 */
export class GbnfBuilder {
  readonly #rules = new Map<string, GbnfNode>();
  readonly #shared = new Map<string, GbnfNode>();
  readonly #next = new Map<string, number>();

  /** Reserves a free name that resembles `hint`, for a rule that is defined later and may refer to itself. */
  reserve(hint: string): string {
    const base = hint.replaceAll(/[^A-Za-z0-9-]+/g, "-").slice(0, 40) || "rule";
    let number = this.#next.get(base) ?? 0;
    let name = number === 0 ? base : `${base}-${number}`;
    while (this.#rules.has(name)) name = `${base}-${++number}`;
    this.#next.set(base, number + 1);
    if (this.#rules.size >= MAX_RULES) throw new ConstraintError(`needs more than ${MAX_RULES} grammar rules`);
    // The place in the order of rules is taken now; the empty text is never seen by a finished grammar.
    this.#rules.set(name, { kind: "sequence", items: [] });
    return name;
  }

  define(name: string, node: GbnfNode): void {
    this.#rules.set(name, node);
  }

  /** Adds a rule and returns the reference to it. */
  add(hint: string, node: GbnfNode): GbnfNode {
    const name = this.reserve(hint);
    this.define(name, node);
    return reference(name);
  }

  /** The reference to the rule of this key, which `make` builds on first use; `make` may ask for the same key again. */
  shared(key: string, make: () => GbnfNode): GbnfNode {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const name = this.reserve(key);
    const made = reference(name);
    this.#shared.set(key, made);
    this.define(name, make());
    return made;
  }

  grammar(): GbnfGrammar {
    return this.#rules;
  }
}
