import { EngineError } from "../../../engine/errors.ts";
import type { Constraint } from "../../../engine/request.ts";
import { choiceGrammar } from "./choice-grammar.ts";
import { droppedByXgrammar } from "./schema-support.ts";

/** The proto field of each kind of constraint. */
export const constraintFields: Readonly<Record<Constraint["kind"], string>> = {
  "json-schema": "sampling_params.json_schema",
  regex: "sampling_params.regex",
  grammar: "sampling_params.grammar",
  choice: "sampling_params.choice",
  "json-object": "sampling_params.json_object",
  "structural-tag": "sampling_params.structural_tag",
};

/** vLLM's StructuredOutputsParams (vllm/sampling_params.py): one of the constraints, and who enforces it. */
export type StructuredOutputs = {
  readonly json?: string;
  readonly regex?: string;
  readonly grammar?: string;
  readonly structural_tag?: string;
  readonly json_object?: true;
  /** An engine takes one backend, that of its first constrained request, so all of ours name the same. */
  readonly _backend: "xgrammar";
};

/**
 * What the engine must be told to hold an output to a constraint.
 *
 * Throws `invalid-argument` for what xgrammar must not see, and `failed-precondition` for a schema with keywords that it would
 * drop. Whether a regular expression or grammar parses is found by the engine.
 */
export function structuredOutputsOf(constraint: Constraint): StructuredOutputs {
  const field = constraintFields[constraint.kind];
  switch (constraint.kind) {
    case "json-schema": {
      const keyword = droppedByXgrammar(JSON.parse(constraint.source));
      if (keyword !== undefined) {
        throw new EngineError("failed-precondition", `${field}: vLLM's xgrammar cannot hold an output to ${keyword}`, {
          field,
        });
      }
      return { json: constraint.source, _backend: "xgrammar" };
    }
    case "regex":
      return { regex: withoutNul(constraint.source, field), _backend: "xgrammar" };
    case "grammar":
      return { grammar: withoutNul(constraint.source, field), _backend: "xgrammar" };
    case "structural-tag":
      return { structural_tag: withoutNul(constraint.source, field), _backend: "xgrammar" };
    case "choice":
      return { grammar: choiceGrammar(constraint.choices), _backend: "xgrammar" };
    case "json-object":
      return { json_object: true, _backend: "xgrammar" };
  }
}

/** xgrammar's converters are native code that does not expect one (backend_xgrammar.py, validate_xgrammar_grammar). */
function withoutNul(source: string, field: string): string {
  if (!source.includes("\0")) return source;
  throw new EngineError("invalid-argument", `${field}: must not contain a NUL character`, { field });
}
