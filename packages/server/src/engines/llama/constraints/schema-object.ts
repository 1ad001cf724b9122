import { trimmed } from "./automaton.ts";
import { addAutomaton } from "./automaton-grammar.ts";
import { ConstraintError } from "./constraint-error.ts";
import { alternatives, EMPTY, type GbnfNode, isEmpty, literal, optional, reference, repeat, sequence } from "./gbnf.ts";
import type { GbnfBuilder } from "./gbnf-builder.ts";
import { colon, comma, jsonString, jsonStringEncoding } from "./json-grammar.ts";
import { allButLiterals } from "./literal-trie.ts";

export interface ObjectProperty {
  readonly key: string;
  readonly required: boolean;
  /** The value as a reference or something as small: it is written more than once. */
  readonly value: GbnfNode;
}

/**
 * An object whose properties come in the given order, the optional ones or not, and then any number of pairs with other
 * keys and the value `additional` (undefined: none).
 */
export function objectNode(
  builder: GbnfBuilder,
  properties: readonly ObjectProperty[],
  additional: GbnfNode | undefined,
  forbidden: readonly string[],
): GbnfNode {
  // From each property on: what can come next, and what can come after a pair. Reserved in order, the heads first, because
  // llama.cpp's left recursion check walks each chain anew from every rule that no earlier one led to.
  const nextNames = properties.map(({ key }) => builder.reserve(`next-${key}`));
  let next: GbnfNode | undefined;
  let mayEnd = true;
  if (additional !== undefined) {
    const keys = [...properties.map(({ key }) => key), ...forbidden];
    const pair = builder.add("pair", sequence([otherKey(builder, keys), colon(builder), additional]));
    next = sequence([pair, repeat(sequence([comma(builder), pair]), 0, undefined)]);
  }
  for (const [index, { key, required, value }] of [...properties.entries()].reverse()) {
    const after = next === undefined ? EMPTY : sequence([comma(builder), next]);
    const pair = sequence([
      literal(JSON.stringify(key)),
      colon(builder),
      value,
      mayEnd && !isEmpty(after) ? builder.add("after", alternatives([after, EMPTY])) : after,
    ]);
    const name = nextNames[index] ?? "";
    builder.define(name, required || next === undefined ? pair : alternatives([pair, next]));
    next = reference(name);
    mayEnd &&= !required;
  }
  const pairs = next === undefined ? EMPTY : mayEnd ? optional(next) : next;
  return sequence([literal("{"), pairs, literal("}")]);
}

/** A key that is none of `keys`, escaped in one way only, so that "\u0061" is no way around "a". */
function otherKey(builder: GbnfBuilder, keys: readonly string[]): GbnfNode {
  if (keys.length === 0) return jsonString(builder);
  const automaton = trimmed(allButLiterals(keys));
  if (automaton === undefined) throw new ConstraintError("leaves no key for additional properties");
  return sequence([literal('"'), addAutomaton(builder, automaton, "key", jsonStringEncoding), literal('"')]);
}
