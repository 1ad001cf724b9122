import { ConstraintError } from "./constraint-error.ts";
import { alternatives, EMPTY, type GbnfGrammar, type GbnfNode, isEmpty, reference, repeat, sequence } from "./gbnf.ts";
import { LLAMA_MAX_REPETITIONS, MAX_REPETITIONS } from "./limits.ts";

/**
 * Rewrites a grammar into the shapes that llama.cpp reads as they are meant:
 * - what is repeated is a literal, a set or a reference, never a group, because llama.cpp multiplies the rules within a
 *   repeated group by the repetitions and refuses a product above 2000;
 * - counts above 2000 become blocks of 2000, because llama.cpp reads `{m,n}` with a larger n as `{m,}`.
 *
 * Throws `ConstraintError` for a count above `MAX_REPETITIONS`.
 */
export function lower(grammar: GbnfGrammar): GbnfGrammar {
  const rules = new Map<string, GbnfNode>();
  let owner = "";
  let number = 0;
  const hoist = (node: GbnfNode): GbnfNode => {
    let name = `${owner}-x${number++}`;
    while (grammar.has(name)) name = `${owner}-x${number++}`;
    rules.set(name, node);
    return reference(name);
  };
  const visit = (node: GbnfNode): GbnfNode => {
    switch (node.kind) {
      case "literal":
        return node.text === "" ? EMPTY : node;
      case "set":
      case "reference":
        return node;
      case "sequence":
        return sequence(node.items.map(visit));
      case "alternatives":
        return alternatives(node.options.map(visit));
      case "repeat":
        return lowerRepeat(visit(node.item), node.min, node.max, hoist);
    }
  };
  for (const [name, node] of grammar) {
    // The place is taken before `visit` adds rules.
    rules.set(name, EMPTY);
    owner = name;
    number = 0;
    rules.set(name, visit(node));
  }
  return rules;
}

function lowerRepeat(
  item: GbnfNode,
  min: number,
  max: number | undefined,
  hoist: (node: GbnfNode) => GbnfNode,
): GbnfNode {
  const largest = Math.max(min, max ?? 0);
  if (largest > MAX_REPETITIONS) {
    throw new ConstraintError(`repeats something ${largest} times, and at most ${MAX_REPETITIONS} is allowed`);
  }
  if (isEmpty(item) || max === 0) return EMPTY;
  if (min === 1 && max === 1) return item;
  const simple = item.kind === "literal" || item.kind === "set" || item.kind === "reference" ? item : hoist(item);
  if (largest <= LLAMA_MAX_REPETITIONS) return repeat(simple, min, max);

  const block = hoist(repeat(simple, LLAMA_MAX_REPETITIONS, LLAMA_MAX_REPETITIONS));
  const blocks = Math.floor(min / LLAMA_MAX_REPETITIONS);
  const rest = min % LLAMA_MAX_REPETITIONS;
  const required = Array.from({ length: blocks }, () => block);
  if (max === undefined) return sequence([...required, repeat(simple, rest, undefined)]);
  // Up to n: either a whole block and up to n - 2000 more, or fewer than a block. Two ways are open at a time.
  let extra = max - min;
  const fewer = extra >= LLAMA_MAX_REPETITIONS ? hoist(repeat(simple, 0, LLAMA_MAX_REPETITIONS - 1)) : EMPTY;
  let upTo = repeat(simple, 0, extra % LLAMA_MAX_REPETITIONS);
  for (extra -= extra % LLAMA_MAX_REPETITIONS; extra > 0; extra -= LLAMA_MAX_REPETITIONS) {
    upTo = hoist(alternatives([sequence([block, upTo]), fewer]));
  }
  return sequence([...required, repeat(simple, rest, rest), upTo]);
}
