import { EngineError } from "../../../engine/errors.ts";
import type { Constraint } from "../../../engine/request.ts";
import { choiceGrammar } from "./choice.ts";
import { ConstraintError } from "./constraint-error.ts";
import { checkedGbnf, checkGbnf } from "./gbnf-check.ts";
import { jsonObjectGrammar } from "./json-grammar.ts";
import { schemaGrammar } from "./json-schema.ts";
import { MAX_REMEMBERED_LENGTH, MAX_SOURCE_BYTES } from "./limits.ts";
import { RecentResults } from "./recent-results.ts";
import { regexGrammar } from "./regex.ts";

const FIELDS = {
  "json-schema": "sampling_params.json_schema",
  regex: "sampling_params.regex",
  grammar: "sampling_params.grammar",
  choice: "sampling_params.choice",
  "json-object": "sampling_params.json_object",
  "structural-tag": "sampling_params.structural_tag",
} as const satisfies Record<Constraint["kind"], string>;

/**
 * Turns a constraint into one GBNF grammar for llama.cpp, whose start rule is `root` and which the whole output must
 * match. The result is ASCII, at most `MAX_GBNF_BYTES` long, and checked (`checkedGbnf`), so that llama.cpp neither
 * refuses it nor crashes nor hangs on it; one of the checks, against grammars whose cost grows with each character, is a search
 * that a grammar made for that can get around. The first use of a constraint costs 1 to 20 ms, large ones some 100 ms; results are
 * kept up to `MAX_REMEMBERED_LENGTH`, the ones used last.
 *
 * Throws `EngineError` of kind invalid-argument, with the proto field, for what is malformed, not supported or too large,
 * and unimplemented for a structural tag.
 */
export function toGbnf(constraint: Constraint): string {
  const field = FIELDS[constraint.kind];
  if (constraint.kind === "structural-tag") {
    throw new EngineError("unimplemented", `${field}: the llama engine has no structural tags`, { field });
  }
  try {
    return remembered.get(keyOf(constraint), () => convert(constraint));
  } catch (thrown) {
    if (!(thrown instanceof ConstraintError)) throw thrown;
    throw new EngineError("invalid-argument", `${field} ${thrown.message}`, { field, cause: thrown });
  }
}

const remembered = new RecentResults(MAX_REMEMBERED_LENGTH);

type GbnfConstraint = Exclude<Constraint, { kind: "structural-tag" }>;

function convert(constraint: GbnfConstraint): string {
  switch (constraint.kind) {
    case "json-schema":
      return checkedGbnf(schemaGrammar(bounded(constraint.source)));
    case "regex":
      return checkedGbnf(regexGrammar(constraint.source));
    case "grammar":
      return checkGbnf(bounded(constraint.source));
    case "choice":
      return checkedGbnf(choiceGrammar(constraint.choices));
    case "json-object":
      return checkedGbnf(jsonObjectGrammar());
  }
}

function keyOf(constraint: GbnfConstraint): string {
  const rest =
    "source" in constraint ? constraint.source : "choices" in constraint ? JSON.stringify(constraint.choices) : "";
  return `${constraint.kind} ${rest}`;
}

function bounded(source: string): string {
  const bytes = source.length > MAX_SOURCE_BYTES ? source.length : Buffer.byteLength(source);
  if (bytes > MAX_SOURCE_BYTES) {
    throw new ConstraintError(`is longer than ${MAX_SOURCE_BYTES} bytes`);
  }
  return source;
}
