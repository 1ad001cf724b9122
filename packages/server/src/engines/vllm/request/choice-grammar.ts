/**
 * A grammar in xgrammar's EBNF that says exactly one of the texts. xgrammar, vLLM's default for structured outputs, has no
 * choices of its own; vLLM's front ends do the same (vllm/v1/structured_output/utils.py, choice_as_grammar).
 */
export function choiceGrammar(choices: readonly string[]): string {
  return `root ::= ${choices.map((choice) => `"${[...choice].map(escaped).join("")}"`).join(" | ")}`;
}

const named: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** A character as it stands in a literal. What is not printable ASCII is written by number, so that no reader can differ. */
function escaped(character: string): string {
  const known = named.get(character);
  if (known !== undefined) return known;
  const code = character.codePointAt(0) ?? 0;
  if (code >= 0x20 && code < 0x7f) return character;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
}
