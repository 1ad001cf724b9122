import { EngineError, type EngineErrorKind } from "../../engine/errors.ts";

/** When a scripted fault strikes, counted from the engine's first readiness. */
export type MockMoment = { readonly afterMs: number } | { readonly afterSteps: number };

/** What can go wrong with a scripted engine. */
export type MockFault =
  /** From then on each step takes this long. */
  | { readonly kind: "slow"; readonly at: MockMoment; readonly stepIntervalMs: number }
  /** No step and no health answer for `forMs`, then it goes on by itself. */
  | { readonly kind: "stall"; readonly at: MockMoment; readonly forMs: number }
  /** No step and no health answer, for ever. */
  | { readonly kind: "hang"; readonly at: MockMoment }
  /** The state turns dead and every request fails `unavailable`. With `restartInMs` it starts again by itself. */
  | {
      readonly kind: "die";
      readonly at: MockMoment;
      readonly reason: string;
      readonly restartInMs?: number | undefined;
    }
  /** Events of the prefix cache were lost on their way. */
  | { readonly kind: "kv-gap"; readonly at: MockMoment }
  /** Request number `request` (the first accepted one is 1) fails once an output of it has `afterTokens` tokens. */
  | { readonly kind: "error"; readonly request: number; readonly afterTokens: number; readonly error: MockError };

export interface MockError {
  readonly kind: EngineErrorKind;
  readonly message: string;
  readonly field?: string | undefined;
}

/** The model that the engine claims to have. Vocabulary: 256 bytes, then bos 256, eos 257, pad 258, then unused ids. */
export interface MockModel {
  /** Default "mock". */
  readonly modelPath?: string | undefined;
  /** At least 259, the default. */
  readonly vocabSize?: number | undefined;
  /** Prompt and output together, per sequence. Default 4096. */
  readonly maxModelLenTokens?: number | undefined;
  /** Default 8. */
  readonly maxNumSeqs?: number | undefined;
  /** Default 16. */
  readonly blockSizeTokens?: number | undefined;
  /** Default true. */
  readonly isGeneration?: boolean | undefined;
  /** Length of an embedding; 0 leaves `embed` unimplemented. Default 8. */
  readonly embeddingDim?: number | undefined;
}

/** How a scripted engine behaves. Everything has a default: `{}` is a healthy engine. */
export interface MockScript {
  readonly model?: MockModel | undefined;
  /** `delayMs` (default 0) is the time to readiness; `fail` makes the start fail with this sentence after that time. */
  readonly start?: { readonly delayMs?: number | undefined; readonly fail?: string | undefined } | undefined;
  /** Milliseconds from one step to the next (0: as fast as the event loop turns), or "manual": only `step()` moves it. */
  readonly stepIntervalMs?: number | "manual" | undefined;
  /**
   * What the outputs say, as token ids or text; each ends with EOS. Output i of request k (both from 0) says entry
   * (k + i) modulo the number of entries. Default: one sentence.
   */
  readonly outputs?: readonly (readonly number[] | string)[] | undefined;
  /** Tokens of each prompt that count as found in the prefix cache, at most all but one. Default 0. */
  readonly cachedTokens?: number | undefined;
  /** Prompts whose full blocks the prefix cache claims to hold whenever the engine gets ready. Default: none. */
  readonly cachedPrefixes?: readonly (readonly number[])[] | undefined;
  readonly faults?: readonly MockFault[] | undefined;
}

/**
 * Checks a script that came from outside (JSON of a script file).
 *
 * @throws EngineError `invalid-argument` that names the path, the rule and the value, e.g.
 * `mock script: faults[0].forMs: must be an integer from 0 to 2147483647, got -1`.
 */
export function parseMockScript(json: unknown): MockScript {
  const names = ["model", "start", "stepIntervalMs", "outputs", "cachedTokens", "cachedPrefixes", "faults"];
  const script = objectAt(json, "script", names);
  const model = script.model === undefined ? undefined : modelAt(script.model, "model");
  const vocabSize = model?.vocabSize ?? minVocabSize;
  return {
    model,
    start: script.start === undefined ? undefined : startAt(script.start, "start"),
    stepIntervalMs: script.stepIntervalMs === "manual" ? "manual" : optional(script.stepIntervalMs, "stepIntervalMs"),
    outputs: script.outputs === undefined ? undefined : outputsAt(script.outputs, "outputs", vocabSize),
    cachedTokens: optional(script.cachedTokens, "cachedTokens"),
    cachedPrefixes:
      script.cachedPrefixes === undefined
        ? undefined
        : listAt(script.cachedPrefixes, "cachedPrefixes", 1_000).map((prefix, i) =>
            tokenIdsAt(prefix, `cachedPrefixes[${i}]`, vocabSize, "must be a list of token ids"),
          ),
    faults: script.faults === undefined ? undefined : listAt(script.faults, "faults", 1000).map(faultAt),
  };
}

/** 256 bytes and three special tokens. */
export const minVocabSize = 259;

/** The longest delay that a timer of Node takes (2^31 - 1 ms). */
const maxInteger = 2_147_483_647;

type Fields = Readonly<Record<string, unknown>>;

function modelAt(value: unknown, path: string): MockModel {
  const names = ["modelPath", "vocabSize", "maxModelLenTokens", "maxNumSeqs", "blockSizeTokens", "isGeneration"];
  const model = objectAt(value, path, [...names, "embeddingDim"]);
  return {
    modelPath: model.modelPath === undefined ? undefined : textAt(model.modelPath, `${path}.modelPath`),
    vocabSize: optional(model.vocabSize, `${path}.vocabSize`, minVocabSize, 10_000_000),
    maxModelLenTokens: optional(model.maxModelLenTokens, `${path}.maxModelLenTokens`, 2, 100_000_000),
    maxNumSeqs: optional(model.maxNumSeqs, `${path}.maxNumSeqs`, 1, 100_000),
    blockSizeTokens: optional(model.blockSizeTokens, `${path}.blockSizeTokens`, 1, 65_536),
    isGeneration: model.isGeneration === undefined ? undefined : booleanAt(model.isGeneration, `${path}.isGeneration`),
    embeddingDim: optional(model.embeddingDim, `${path}.embeddingDim`, 0, 65_536),
  };
}

function startAt(value: unknown, path: string): MockScript["start"] {
  const start = objectAt(value, path, ["delayMs", "fail"]);
  return {
    delayMs: optional(start.delayMs, `${path}.delayMs`),
    fail: start.fail === undefined ? undefined : textAt(start.fail, `${path}.fail`),
  };
}

function outputsAt(value: unknown, path: string, vocabSize: number): readonly (readonly number[] | string)[] {
  const outputs = listAt(value, path, 100_000).map((output, i) => {
    if (typeof output === "string") return output;
    return tokenIdsAt(output, `${path}[${i}]`, vocabSize, "must be a text or a list of token ids");
  });
  if (outputs.length === 0) throw wrong(path, "must have at least one entry", value);
  return outputs;
}

function tokenIdsAt(value: unknown, path: string, vocabSize: number, rule: string): readonly number[] {
  return listAt(value, path, 1_000_000, rule).map((id, i) => integerAt(id, `${path}[${i}]`, 0, vocabSize - 1));
}

const errorKinds: readonly EngineErrorKind[] = [
  "invalid-argument",
  "failed-precondition",
  "resource-exhausted",
  "unavailable",
  "unimplemented",
  "internal",
];

function faultAt(value: unknown, i: number): MockFault {
  const path = `faults[${i}]`;
  if (!isFields(value)) throw wrong(path, "must be an object", value);
  switch (value.kind) {
    case "slow":
      objectAt(value, path, ["kind", "afterMs", "afterSteps", "stepIntervalMs"]);
      return {
        kind: "slow",
        at: momentAt(value, path),
        stepIntervalMs: integerAt(value.stepIntervalMs, `${path}.stepIntervalMs`),
      };
    case "stall":
      objectAt(value, path, ["kind", "afterMs", "afterSteps", "forMs"]);
      return { kind: "stall", at: momentAt(value, path), forMs: integerAt(value.forMs, `${path}.forMs`) };
    case "hang":
    case "kv-gap":
      objectAt(value, path, ["kind", "afterMs", "afterSteps"]);
      return { kind: value.kind, at: momentAt(value, path) };
    case "die":
      objectAt(value, path, ["kind", "afterMs", "afterSteps", "reason", "restartInMs"]);
      return {
        kind: "die",
        at: momentAt(value, path),
        reason: value.reason === undefined ? "scripted death" : textAt(value.reason, `${path}.reason`),
        restartInMs: optional(value.restartInMs, `${path}.restartInMs`),
      };
    case "error":
      objectAt(value, path, ["kind", "request", "afterTokens", "error"]);
      return {
        kind: "error",
        request: integerAt(value.request, `${path}.request`, 1),
        afterTokens: optional(value.afterTokens, `${path}.afterTokens`) ?? 0,
        error: errorAt(value.error, `${path}.error`),
      };
    default:
      throw wrong(`${path}.kind`, "must be one of slow, stall, hang, die, kv-gap, error", value.kind);
  }
}

function errorAt(value: unknown, path: string): MockError {
  const error = objectAt(value, path, ["kind", "message", "field"]);
  const kind = errorKinds.find((known) => known === error.kind);
  if (kind === undefined) throw wrong(`${path}.kind`, `must be one of ${errorKinds.join(", ")}`, error.kind);
  return {
    kind,
    message: textAt(error.message, `${path}.message`),
    field: error.field === undefined ? undefined : textAt(error.field, `${path}.field`),
  };
}

function momentAt(fault: Fields, path: string): MockMoment {
  if ((fault.afterMs === undefined) === (fault.afterSteps === undefined)) {
    throw wrong(path, "must have either afterMs or afterSteps", fault);
  }
  return fault.afterMs === undefined
    ? { afterSteps: integerAt(fault.afterSteps, `${path}.afterSteps`) }
    : { afterMs: integerAt(fault.afterMs, `${path}.afterMs`) };
}

function objectAt(value: unknown, path: string, known: readonly string[]): Fields {
  if (!isFields(value)) throw wrong(path, "must be an object", value);
  for (const name of Object.keys(value)) {
    if (!known.includes(name))
      throw wrong(`${path}.${name}`, `unknown; known here are ${known.join(", ")}`, value[name]);
  }
  return value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listAt(value: unknown, path: string, maxLength: number, rule = "must be a list"): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(path, rule, value);
  if (value.length > maxLength) throw wrong(path, `must have at most ${maxLength} entries`, value.length);
  return value;
}

function textAt(value: unknown, path: string): string {
  if (typeof value !== "string" || value === "") throw wrong(path, "must be a non-empty text", value);
  return value;
}

function booleanAt(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") throw wrong(path, "must be true or false", value);
  return value;
}

function integerAt(value: unknown, path: string, min = 0, max = maxInteger): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw wrong(path, `must be an integer from ${min} to ${max}`, value);
  }
  return value;
}

function optional(value: unknown, path: string, min?: number, max?: number): number | undefined {
  return value === undefined ? undefined : integerAt(value, path, min, max);
}

function wrong(path: string, rule: string, value: unknown): EngineError {
  const shown = value === undefined ? "nothing" : JSON.stringify(value);
  const clipped = shown.length > 80 ? `${shown.slice(0, 77)}...` : shown;
  return new EngineError("invalid-argument", `mock script: ${path}: ${rule}, got ${clipped}`, { field: path });
}
