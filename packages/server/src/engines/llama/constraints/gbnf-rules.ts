import type { CodePointSet } from "./code-points.ts";
import { codePointAt, codePointSet } from "./code-points.ts";
import { ConstraintError } from "./constraint-error.ts";
import type { GbnfGrammar, GbnfNode } from "./gbnf.ts";
import { MAX_ELEMENTS, MAX_RULES } from "./limits.ts";

/** One element of a rule: a set of code points, or a reference to a rule by number. */
type RuleElement = CodePointSet | number;

/** A rule as llama.cpp holds it: alternatives of elements, without groups and repetitions. */
export interface PlainRule {
  /** The name in the grammar, also for the parts that were cut out of that rule. */
  readonly name: string;
  readonly alternatives: RuleElement[][];
}

/**
 * Rewrites a lowered grammar as llama.cpp's parser does (`parse_sequence`): a group becomes a rule, `x{m,n}` becomes m
 * times x and a chain of n - m optional rules, `x*` a rule that ends in itself. Rules get the numbers that llama.cpp gives
 * them; `root` is the first rule of the text or any other, see the returned number.
 *
 * Throws `ConstraintError` for an undefined rule, a missing `root`, and beyond `MAX_RULES` and `MAX_ELEMENTS`.
 */
export function plainRules(grammar: GbnfGrammar): { readonly rules: readonly PlainRule[]; readonly root: number } {
  if (!grammar.has("root")) throw new ConstraintError('has no rule named "root"');
  const rewriting = new Rewriting();
  for (const [name, node] of grammar) rewriting.addRule(name, node, grammar);
  return { rules: rewriting.rules, root: rewriting.numberOf("root") };
}

class Rewriting {
  readonly rules: PlainRule[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #literals = new Map<string, CodePointSet>();
  #elements = 0;

  addRule(name: string, node: GbnfNode, grammar: GbnfGrammar): void {
    this.#fill(this.numberOf(name), node, name, grammar);
  }

  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#newRule(name);
    this.#numbers.set(name, number);
    return number;
  }

  #newRule(name: string): number {
    if (this.rules.length >= MAX_RULES) throw new ConstraintError(`needs more than ${MAX_RULES} rules in llama.cpp`);
    this.rules.push({ name, alternatives: [] });
    return this.rules.length - 1;
  }

  #fill(number: number, node: GbnfNode, name: string, grammar: GbnfGrammar): void {
    for (const option of node.kind === "alternatives" ? node.options : [node]) {
      const elements: RuleElement[] = [];
      this.#append(elements, option, name, grammar);
      this.#addAlternative(number, elements);
    }
  }

  #addAlternative(number: number, elements: RuleElement[]): void {
    this.#count(1);
    this.rules[number]?.alternatives.push(elements);
  }

  #append(elements: RuleElement[], node: GbnfNode, name: string, grammar: GbnfGrammar): void {
    switch (node.kind) {
      case "literal":
        for (const char of node.text) this.#push(elements, this.#setOf(char));
        return;
      case "set":
        this.#count(2 * node.set.length - 1);
        elements.push(node.set);
        return;
      case "reference":
        if (!grammar.has(node.name)) throw new ConstraintError(`uses the rule "${node.name}", which is not defined`);
        this.#push(elements, this.numberOf(node.name));
        return;
      case "sequence":
        for (const item of node.items) this.#append(elements, item, name, grammar);
        return;
      case "alternatives": {
        const group = this.#newRule(name);
        this.#fill(group, node, name, grammar);
        this.#push(elements, group);
        return;
      }
      case "repeat":
        this.#appendRepeat(elements, node.item, node.min, node.max, name, grammar);
    }
  }

  #appendRepeat(
    elements: RuleElement[],
    node: GbnfNode,
    min: number,
    max: number | undefined,
    name: string,
    grammar: GbnfGrammar,
  ): void {
    const item: RuleElement[] = [];
    this.#append(item, node, name, grammar);
    const cost = item.reduce<number>((sum, element) => sum + (typeof element === "number" ? 1 : 2 * element.length), 0);
    this.#count(cost * min);
    for (let index = 0; index < min; index++) for (const element of item) elements.push(element);
    const optionals = max === undefined ? 1 : max - min;
    let last: number | undefined;
    for (let index = 0; index < optionals; index++) {
      const rule = this.#newRule(name);
      const tail = max === undefined ? rule : last;
      this.#count(cost + 1);
      this.#addAlternative(rule, tail === undefined ? [...item] : [...item, tail]);
      this.#addAlternative(rule, []);
      last = rule;
    }
    if (last !== undefined) this.#push(elements, last);
  }

  #push(elements: RuleElement[], element: RuleElement): void {
    this.#count(1);
    elements.push(element);
  }

  #count(elements: number): void {
    this.#elements += elements;
    if (this.#elements > MAX_ELEMENTS) {
      throw new ConstraintError(`needs more than ${MAX_ELEMENTS} grammar elements in llama.cpp`);
    }
  }

  #setOf(char: string): CodePointSet {
    let set = this.#literals.get(char);
    if (set === undefined) {
      const codePoint = codePointAt(char);
      set = codePointSet([[codePoint, codePoint]]);
      this.#literals.set(char, set);
    }
    return set;
  }
}
