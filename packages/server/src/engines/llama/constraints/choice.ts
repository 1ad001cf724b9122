import { addAutomaton } from "./automaton-grammar.ts";
import { ConstraintError } from "./constraint-error.ts";
import type { GbnfGrammar } from "./gbnf.ts";
import { GbnfBuilder } from "./gbnf-builder.ts";
import { MAX_CHOICES, MAX_SOURCE_BYTES } from "./limits.ts";
import { literalTrie } from "./literal-trie.ts";

/**
 * The grammar of a list of texts. Duplicates count once. Throws `ConstraintError` for an empty list, an empty text (no
 * token would be chosen), a text with NUL or half a surrogate pair, and beyond `MAX_CHOICES` and `MAX_SOURCE_BYTES`.
 */
export function choiceGrammar(choices: readonly string[]): GbnfGrammar {
  if (choices.length === 0) throw new ConstraintError("has no choices; at least one is needed");
  if (choices.length > MAX_CHOICES) {
    throw new ConstraintError(`has ${choices.length} choices, and at most ${MAX_CHOICES} are allowed`);
  }
  let bytes = 0;
  choices.forEach((choice, index) => {
    if (choice === "") throw new ConstraintError(`has an empty text as choice ${index}`);
    if (choice.includes("\0") || !choice.isWellFormed()) {
      throw new ConstraintError(`has a NUL or half a surrogate pair in choice ${index}, which no model can write`);
    }
    bytes += choice.length > MAX_SOURCE_BYTES ? choice.length : Buffer.byteLength(choice);
  });
  if (bytes > MAX_SOURCE_BYTES) {
    throw new ConstraintError(`has ${bytes} bytes of choices, and at most ${MAX_SOURCE_BYTES} are allowed`);
  }
  const builder = new GbnfBuilder();
  const root = builder.reserve("root");
  builder.define(root, addAutomaton(builder, literalTrie(choices), "c"));
  return builder.grammar();
}
