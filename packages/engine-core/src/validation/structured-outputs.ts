import { EngineCoreError } from "../engine-core-error.ts";
import type { WireValue } from "../protocol/request.ts";
import { boolean, filledText, invalid, listOf, membersOf, optional, type Rule, text } from "./rules.ts";

/** MAX_STRUCTURED_OUTPUT_JSON_NESTING and STRUCTURAL_TAG_WRAPPER_NESTING (vllm/sampling_params.py at 0.32). */
const mostJsonLevels = 64;
const mostTagLevels = 80;

/** vllm/v1/structured_output: what it knows by name. */
const backends = ["xgrammar", "guidance", "outlines", "lm-format-enforcer"];

/** Of these exactly one is wanted (StructuredOutputsParams.__post_init__). */
const constraints: Readonly<Record<string, Rule>> = {
  json: (value, field) => checkJson(value, field, mostJsonLevels),
  regex: (value, field, limits) => {
    text(value, field, limits);
    if (typeof value === "string" && value.includes("\0")) throw invalid(field, "a text without NUL", value);
  },
  choice: listOf(filledText, 1),
  grammar: notBlank,
  json_object: (value, field) => {
    if (value !== true) throw invalid(field, "true where it is given", value);
  },
  structural_tag: (value, field) => {
    notBlank(value, field);
    checkJson(value, field, mostTagLevels);
  },
};

const options: Readonly<Record<string, Rule>> = {
  disable_any_whitespace: boolean,
  disable_additional_properties: boolean,
  whitespace_pattern: optional(text),
  _backend: (value, field) => {
    if (typeof value !== "string" || !backends.includes(value)) throw invalid(field, backends.join(", "), value);
  },
  _backend_was_auto: boolean,
};

/**
 * vLLM's StructuredOutputsParams (vllm/sampling_params.py at 0.32). `_backend` must be there, because only vLLM's own front
 * end chooses one. Whether a pattern, grammar or schema can be compiled the engine alone knows: such a request ends with
 * the finish reason `error` and harms no other.
 */
export const structuredOutputs: Rule = (value, field, limits) => {
  const members = membersOf(value);
  if (members === undefined) throw invalid(field, "a map", value);
  const given: string[] = [];
  for (const [name, member] of members) {
    const rule = constraints[name] ?? options[name];
    if (typeof name !== "string" || rule === undefined) throw invalid(field, "a map of known names", String(name));
    if (member === undefined) continue;
    if (name in constraints) {
      if (member === null) continue;
      given.push(name);
    }
    rule(member, `${field}.${name}`, limits);
  }
  if (given.length !== 1) throw refused(field, `needs one constraint, has ${given.join(", ") || "none"}`);
  const backend = members.find(([name]) => name === "_backend")?.[1];
  if (backend === undefined) throw refused(field, "needs a _backend");
  if (given[0] === "choice" && backend === "xgrammar") throw refused(field, "xgrammar knows no choice; send a grammar");
};

function refused(field: string, sentence: string): EngineCoreError {
  return new EngineCoreError({ kind: "invalid-request", field }, `${field}: ${sentence}`);
}

function notBlank(value: WireValue, field: string): void {
  if (typeof value !== "string" || value.trim() === "") throw invalid(field, "a text that is not blank", value);
}

function checkJson(value: WireValue, field: string, mostLevels: number): void {
  let document: unknown = value;
  if (typeof value === "string") {
    try {
      document = JSON.parse(value);
    } catch {
      throw invalid(field, "JSON", value);
    }
  } else if (membersOf(value) === undefined) throw invalid(field, "a text or a map", value);
  if (isDeeper(document, mostLevels)) throw invalid(field, `nested at most ${mostLevels} levels deep`, value);
}

/** Level by level and not by recursion, because the depth is the caller's. */
function isDeeper(document: unknown, mostLevels: number): boolean {
  let level: unknown[] = [document].filter(isContainer);
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= mostLevels) return true;
    level = level.flatMap((node) => childrenOf(node).filter(isContainer));
  }
  return false;
}

function isContainer(node: unknown): boolean {
  return typeof node === "object" && node !== null;
}

function childrenOf(node: unknown): readonly unknown[] {
  if (node instanceof Map) return [...node.values()];
  return Array.isArray(node) ? node : Object.values(node as object);
}
