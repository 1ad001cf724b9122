import type { Engine } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import type { GenerateRequest, SamplingParams } from "../engine/request.ts";

/** What came of asking for a token. */
export type CanaryAnswer =
  | { readonly t: "token" }
  /** The engine is too full or too far gone to try, which is seen elsewhere. */
  | { readonly t: "nothing" }
  /** This engine or model never gives one. */
  | { readonly t: "impossible"; readonly message: string }
  | { readonly t: "failed"; readonly message: string };

/** Begins the id of every request of health's own, so that logs and engines can tell. */
export const canaryIdPrefix = "tokenwire-canary-";

let canaries = 0;

/**
 * Asks the engine for one token after a prompt of one token and calls back once, later, with what came of it. Answers a
 * function that gives the question up: the callback is not called any more, and the engine is told.
 */
export function askForToken(
  engine: Pick<Engine, "facts" | "generate" | "abort">,
  onAnswer: (answer: CanaryAnswer) => void,
): () => void {
  const id = `${canaryIdPrefix}${++canaries}`;
  let isOpen = true;
  const answer = (given: CanaryAnswer): void => {
    if (!isOpen) return;
    isOpen = false;
    onAnswer(given);
  };
  try {
    const { bosTokenId, eosTokenIds, isGeneration } = engine.facts();
    if (!isGeneration) throw new EngineError("unimplemented", "the model only makes embeddings");
    engine.generate(requestOf(id, bosTokenId ?? eosTokenIds[0] ?? 0), {
      delta: ({ finish }) => {
        if (finish !== undefined) answer({ t: "token" });
      },
      failed: (error) => answer(answerOf(error)),
    });
  } catch (thrown) {
    const given = answerOf(EngineError.from(thrown));
    queueMicrotask(() => answer(given));
  }
  return () => {
    if (!isOpen) return;
    isOpen = false;
    engine.abort(id);
  };
}

function answerOf({ kind, message }: EngineError): CanaryAnswer {
  switch (kind) {
    case "resource-exhausted":
    case "unavailable":
      return { t: "nothing" };
    case "invalid-argument":
    case "failed-precondition":
    case "unimplemented":
      return { t: "impossible", message };
    case "internal":
      return { t: "failed", message };
  }
}

function requestOf(id: string, tokenId: number): GenerateRequest {
  return { id, prompt: { kind: "tokens", tokenIds: Uint32Array.of(tokenId) }, sampling: oneGreedyToken };
}

const oneGreedyToken: SamplingParams = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repetitionPenalty: 1,
  maxTokens: 1,
  minTokens: 0,
  stop: [],
  stopTokenIds: [],
  ignoreEos: true,
  n: 1,
  constraint: undefined,
  logprobs: undefined,
  promptLogprobs: undefined,
  seed: undefined,
  logitBias: new Map(),
};
