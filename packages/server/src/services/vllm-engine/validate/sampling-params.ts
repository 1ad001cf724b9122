import type { ModelFacts } from "../../../engine/facts.ts";
import type { SamplingParams } from "../../../engine/request.ts";
import { SamplingParams as WireSamplingParams } from "../../../generated/vllm_engine.ts";
import { validateConstraint } from "./constraint.ts";
import { refuse, requireWithin } from "./refuse.ts";

/** Outputs of one prompt. vLLM allows 16384; each holds a slot or waits for one. */
const mostOutputs = 128;
const mostStops = 64;
const longestStopCharacters = 1024;
const mostStopTokenIds = 1024;
/** vLLM's default of `--max-logprobs`. */
const mostLogprobs = 20;
/** vLLM's _SAMPLING_EPS (vllm/sampling_params.py): a temperature below it is greedy. */
const greedyBelow = 1e-5;
const highestRepetitionPenalty = 100;

/**
 * Checks `sampling_params` and fills in vLLM's defaults for what is 0 or unset; without the message all are defaults.
 *
 * The rules are vLLM's; where vLLM sets no bound to a list or text, ours bounds what a request can make the engine do.
 * A top_k beyond the vocabulary is off; seed -1 is random, as in vLLM. Parameters that only say how text is made
 * (skip_special_tokens, spaces_between_special_tokens, include_stop_str_in_output) do nothing: answers are token ids.
 */
export function validateSamplingParams(wire: WireSamplingParams | undefined, facts: ModelFacts): SamplingParams {
  const given = wire ?? WireSamplingParams.create();
  const temperature = validateTemperature(given.temperature ?? 1);
  const n = validateN(given.n === 0 ? 1 : given.n, temperature);
  const longestOutput = facts.maxModelLenTokens - 1;
  const { maxTokens, minTokens } = given;
  if (maxTokens === 0) refuse(field("max_tokens"), "out of range", 0, "1 or more, or unset");
  const mostMinTokens = Math.min(maxTokens ?? longestOutput, longestOutput);
  if (minTokens > mostMinTokens) {
    refuse(field("min_tokens"), "out of range", minTokens, `from 0 to ${mostMinTokens} (max_tokens and the context)`);
  }
  requireWithin(field("min_p"), given.minP, 0, 1);
  requireWithin(field("frequency_penalty"), given.frequencyPenalty, -2, 2);
  requireWithin(field("presence_penalty"), given.presencePenalty, -2, 2);
  return {
    temperature,
    topP: validateTopP(given.topP === 0 ? 1 : given.topP),
    topK: given.topK >= facts.vocabSize ? 0 : given.topK,
    minP: given.minP,
    frequencyPenalty: given.frequencyPenalty,
    presencePenalty: given.presencePenalty,
    repetitionPenalty: validateRepetitionPenalty(given.repetitionPenalty === 0 ? 1 : given.repetitionPenalty),
    maxTokens,
    minTokens,
    stop: validateStop(given.stop),
    stopTokenIds: validateStopTokenIds(given.stopTokenIds, facts.vocabSize),
    ignoreEos: given.ignoreEos,
    n,
    constraint: validateConstraint(given.constraint),
    logprobs: validateLogprobs("logprobs", given.logprobs, facts.vocabSize),
    promptLogprobs: validateLogprobs("prompt_logprobs", given.promptLogprobs, facts.vocabSize),
    seed: given.seed === -1 ? undefined : given.seed,
    logitBias: validateLogitBias(given.logitBias, facts.vocabSize),
  };
}

function field(name: string): string {
  return `sampling_params.${name}`;
}

function validateTemperature(temperature: number): number {
  if (!Number.isFinite(temperature) || temperature < 0) {
    const problem = Number.isFinite(temperature) ? "out of range" : "not a finite number";
    refuse(field("temperature"), problem, temperature, "0 or more");
  }
  return temperature < greedyBelow ? 0 : temperature;
}

function validateN(n: number, temperature: number): number {
  requireWithin(field("n"), n, 1, mostOutputs);
  if (n > 1 && temperature === 0) {
    refuse(field("n"), "n must be 1 when using greedy sampling", n, "1 with temperature 0");
  }
  return n;
}

function validateTopP(topP: number): number {
  if (!(topP > 0 && topP <= 1)) refuse(field("top_p"), "out of range", topP, "in (0, 1], or 0 for 1");
  return topP;
}

function validateRepetitionPenalty(penalty: number): number {
  if (!(penalty > 0 && penalty <= highestRepetitionPenalty)) {
    const range = `above 0 and at most ${highestRepetitionPenalty}, or 0 for 1`;
    refuse(field("repetition_penalty"), "out of range", penalty, range);
  }
  return penalty;
}

function validateStop(stop: readonly string[]): readonly string[] {
  if (stop.length > mostStops) refuse(field("stop"), "too many", stop.length, `at most ${mostStops} strings`);
  stop.forEach((text, i) => {
    const range = `1 to ${longestStopCharacters} characters`;
    if (text === "") refuse(field(`stop[${i}]`), "empty", text, range);
    if (text.length > longestStopCharacters) refuse(field(`stop[${i}]`), "too long", text.length, range);
  });
  return stop;
}

function validateStopTokenIds(ids: readonly number[], vocabSize: number): readonly number[] {
  if (ids.length > mostStopTokenIds) {
    refuse(field("stop_token_ids"), "too many", ids.length, `at most ${mostStopTokenIds} ids`);
  }
  ids.forEach((id, i) => {
    if (id >= vocabSize) {
      refuse(field(`stop_token_ids[${i}]`), "outside the vocabulary", id, `from 0 to ${vocabSize - 1}`);
    }
  });
  return ids;
}

/**
 * vLLM's rule (InputProcessor, `max_logprobs`): -1 asks for as many as the vocabulary has, and no request may ask for
 * more than 20. So -1 passes only where the whole vocabulary is that small.
 */
function validateLogprobs(name: string, asked: number | undefined, vocabSize: number): number | undefined {
  if (asked === undefined) return undefined;
  const count = asked === -1 ? vocabSize : asked;
  if (count < 0 || count > mostLogprobs) {
    const range = `from 0 to ${mostLogprobs} (-1 stands for the vocabulary's ${vocabSize})`;
    refuse(field(name), asked === -1 ? "more than allowed" : "out of range", asked, range);
  }
  return asked;
}

function validateLogitBias(bias: Readonly<Record<number, number>>, vocabSize: number): ReadonlyMap<number, number> {
  const byId = new Map<number, number>();
  for (const [key, value] of Object.entries(bias)) {
    const id = Number(key);
    if (id < 0 || id >= vocabSize) {
      refuse(field("logit_bias"), "key outside the vocabulary", id, `from 0 to ${vocabSize - 1}`);
    }
    requireWithin(field(`logit_bias[${id}]`), value, -100, 100);
    byId.set(id, value);
  }
  return byId;
}
