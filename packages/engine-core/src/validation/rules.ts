import { EngineCoreError } from "../engine-core-error.ts";
import type { WireValue } from "../protocol/request.ts";
import type { RequestLimits } from "./request-limits.ts";

/** Throws `invalid-request` for a value that an engine must not see. What is undefined in a map is left out, elsewhere it is nil. */
export type Rule = (value: WireValue, field: string, limits: RequestLimits) => void;

const longestShown = 60;

export function invalid(field: string, must: string, got: WireValue): EngineCoreError {
  return new EngineCoreError({ kind: "invalid-request", field }, `${field}: must be ${must}, got ${shown(got)}`);
}

function shown(value: WireValue): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "bigint" || typeof value === "number") return String(value);
  if (value instanceof Map) return "a map";
  if (ArrayBuffer.isView(value)) return `${value.length} numbers`;
  if (typeof value === "object") return Array.isArray(value) ? `a list of ${value.length}` : "a map";
  const text = JSON.stringify(value);
  return text.length > longestShown ? `${text.slice(0, longestShown)}… of ${text.length} characters` : text;
}

/** Nil, or what the rule wants. */
export function optional(rule: Rule): Rule {
  return (value, field, limits) => {
    if (value !== undefined && value !== null) rule(value, field, limits);
  };
}

export const boolean: Rule = (value, field) => {
  if (typeof value !== "boolean") throw invalid(field, "true or false", value);
};

export const text: Rule = (value, field) => {
  if (typeof value !== "string") throw invalid(field, "a text", value);
};

export const filledText: Rule = (value, field) => {
  if (typeof value !== "string" || value === "") throw invalid(field, "a text that is not empty", value);
};

/** vLLM decodes with msgspec, which takes no float for an integer; numbers beyond 2^53 would be written as floats. */
export function integer(least: number, most?: number): Rule {
  const must = most === undefined ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`;
  return (value, field) => {
    if (!isInteger(value) || value < least || value > (most ?? value)) throw invalid(field, must, value);
  };
}

/** What torch takes for a seed (torch.Generator.manual_seed), and 64 bits can hold. */
export const seed: Rule = (value, field) => {
  const isSeed = typeof value === "bigint" ? value >= -(2n ** 63n) && value < 2n ** 64n : isInteger(value);
  if (!isSeed) throw invalid(field, "an integer from -2^63 to 2^64 - 1, exact", value);
};

/** A number in a range; `open` ends are not in it. NaN is in no range. */
export function number(least: number, most: number, open: { readonly least?: boolean } = {}): Rule {
  const bounds = `${open.least === true ? "(" : "["}${least}, ${most}]`;
  return (value, field) => {
    const isIn = typeof value === "number" && (open.least === true ? value > least : value >= least) && value <= most;
    if (!isIn) throw invalid(field, `a number in ${bounds}`, value);
  };
}

export function listOf(rule: Rule, least = 0): Rule {
  return (value, field, limits) => {
    if (value instanceof Uint32Array || !isList(value) || value.length < least) {
      throw invalid(field, least === 0 ? "a list" : "a list that is not empty", value);
    }
    for (const element of value) rule(element, field, limits);
  };
}

/** Ids of tokens: used as columns of the logits, where one outside kills the engine. */
export function tokenIds(least = 0, most?: number): Rule {
  return (value, field, limits) => {
    const isOne = value instanceof Uint32Array || isList(value);
    if (!isOne || value.length < least || value.length > (most ?? value.length)) {
      const emptiness = least === 0 ? "" : ", not empty";
      const count = most === undefined ? emptiness : `, at most ${most}`;
      throw invalid(field, `a list of token ids${count}`, value);
    }
    for (const id of value) tokenId(id, field, limits);
  };
}

export const tokenId: Rule = (value, field, { vocabSize }) => {
  if (!isInteger(value) || value < 0 || value >= vocabSize) {
    throw invalid(field, `of the vocabulary, ids 0 to ${vocabSize - 1}`, value);
  }
};

/** Nil only, with the reason. */
export function never(because: string): Rule {
  return (value, field) => {
    if (value === undefined || value === null) return;
    throw new EngineCoreError({ kind: "invalid-request", field }, `${field}: cannot be sent, because ${because}`);
  };
}

export function isInteger(value: WireValue): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

export function isList(value: WireValue): value is readonly WireValue[] {
  return Array.isArray(value);
}

/** The members of a map; undefined for anything else. */
export function membersOf(value: WireValue): readonly (readonly [number | string, WireValue])[] | undefined {
  if (value instanceof Map) return [...value];
  if (typeof value !== "object" || value === null || Array.isArray(value) || ArrayBuffer.isView(value))
    return undefined;
  return Object.entries(value);
}
