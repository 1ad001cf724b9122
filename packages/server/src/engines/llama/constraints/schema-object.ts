import { trimmed } from "./automaton.ts";
import { addAutomaton } from "./automaton-grammar.ts";
import { ConstraintError } from "./constraint-error.ts";
import { alternatives, EMPTY, type GbnfNode, isEmpty, literal, optional, repeat, sequence } from "./gbnf.ts";
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
  const separator = comma(builder);
  let afterPair: GbnfNode = EMPTY;
  let atStart: GbnfNode = EMPTY;
  if (additional !== undefined) {
    const keys = [...properties.map(({ key }) => key), ...forbidden];
    const pair = builder.add("pair", sequence([otherKey(builder, keys), colon(builder), additional]));
    afterPair = repeat(sequence([separator, pair]), 0, undefined);
    atStart = optional(sequence([pair, afterPair]));
  }
  // From the last property to the first: what can follow it, after another pair and at the start.
  const firstRequired = properties.findIndex(({ required }) => required);
  for (const [index, { key, required, value }] of [...properties.entries()].reverse()) {
    const pair = sequence([literal(JSON.stringify(key)), colon(builder), value]);
    const following = required || isEmpty(afterPair) ? afterPair : builder.add("more", afterPair);
    const withPair = sequence([separator, pair, following]);
    afterPair = required ? withPair : alternatives([withPair, following]);
    if (firstRequired >= 0 && index > firstRequired) continue;
    const first = sequence([pair, following]);
    atStart = required ? first : alternatives([first, isEmpty(atStart) ? EMPTY : builder.add("first", atStart)]);
  }
  return sequence([literal("{"), atStart, literal("}")]);
}

/** A key that is none of `keys`, escaped in one way only, so that "\u0061" is no way around "a". */
function otherKey(builder: GbnfBuilder, keys: readonly string[]): GbnfNode {
  if (keys.length === 0) return jsonString(builder);
  const automaton = trimmed(allButLiterals(keys));
  if (automaton === undefined) throw new ConstraintError("leaves no key for additional properties");
  return sequence([literal('"'), addAutomaton(builder, automaton, "key", jsonStringEncoding), literal('"')]);
}
