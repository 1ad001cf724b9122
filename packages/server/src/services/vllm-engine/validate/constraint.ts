import type { Constraint } from "../../../engine/request.ts";
import type { SamplingParams } from "../../../generated/vllm_engine.ts";
import { refuse, words } from "./refuse.ts";

/** Bounds the work of the engine's grammar compiler. */
const longestSourceBytes = 262_144;
const mostChoices = 1024;

/**
 * Checks the `constraint` of the sampling parameters. Whether a regular expression or grammar parses is found by the
 * engine; that a schema or a structural tag is JSON is found here.
 *
 * json_object=false is refused: it counts as the chosen constraint and constrains nothing, and vLLM fails such a
 * request as well.
 */
export function validateConstraint(constraint: SamplingParams["constraint"]): Constraint | undefined {
  switch (constraint?.$case) {
    case undefined:
      return undefined;
    case "jsonSchema":
      return { kind: "json-schema", source: validateSchema(constraint.value) };
    case "regex":
      return { kind: "regex", source: validateSource("sampling_params.regex", constraint.value) };
    case "grammar":
      return { kind: "grammar", source: validateSource("sampling_params.grammar", constraint.value) };
    case "structuralTag":
      return { kind: "structural-tag", source: validateStructuralTag(constraint.value) };
    case "jsonObject":
      if (!constraint.value) refuse("sampling_params.json_object", "chosen and off", false, "true or unset");
      return { kind: "json-object" };
    case "choice":
      return { kind: "choice", choices: validateChoices(constraint.value.choices) };
  }
}

function validateSource(field: string, source: string): string {
  const bytes = Buffer.byteLength(source);
  if (bytes === 0) refuse(field, "empty", source, `1 to ${longestSourceBytes} bytes`);
  if (bytes > longestSourceBytes)
    refuse(field, "too long", words(`${bytes} bytes`), `1 to ${longestSourceBytes} bytes`);
  return source;
}

function validateSchema(source: string): string {
  const field = "sampling_params.json_schema";
  validateSource(field, source);
  let schema: unknown;
  try {
    schema = JSON.parse(source);
  } catch {
    refuse(field, "not JSON", source, "a JSON schema");
  }
  const isSchema = typeof schema === "boolean" || (typeof schema === "object" && schema !== null);
  if (!isSchema || Array.isArray(schema)) refuse(field, "not a schema", source, "a JSON object or boolean");
  return source;
}

function validateStructuralTag(source: string): string {
  const field = "sampling_params.structural_tag";
  validateSource(field, source);
  let tag: unknown;
  try {
    tag = JSON.parse(source);
  } catch {
    refuse(field, "not JSON", source, "a JSON object");
  }
  if (typeof tag !== "object" || tag === null || Array.isArray(tag))
    refuse(field, "no object", source, "a JSON object");
  return source;
}

function validateChoices(choices: readonly string[]): readonly string[] {
  const field = "sampling_params.choice.choices";
  if (choices.length === 0) refuse(field, "empty", words("0 choices"), `1 to ${mostChoices} choices`);
  if (choices.length > mostChoices) refuse(field, "too many", choices.length, `1 to ${mostChoices} choices`);
  let bytes = 0;
  choices.forEach((choice, i) => {
    if (choice === "") refuse(`${field}[${i}]`, "empty", choice, "a non-empty text");
    bytes += Buffer.byteLength(choice);
  });
  if (bytes > longestSourceBytes)
    refuse(field, "too long", words(`${bytes} bytes`), `at most ${longestSourceBytes} bytes`);
  return choices;
}
