import {
  GenerateRequest,
  GenerateResponse,
  type OutputLogProbs,
} from "../../packages/server/src/generated/vllm_engine.ts";

/** The message of every token of a stream. */
export function tokenChunk(outputLogprobs?: OutputLogProbs): GenerateResponse {
  const value = { tokenIds: [12_345], promptTokens: 40, completionTokens: 1, cachedTokens: 32, outputLogprobs };
  return GenerateResponse.create({ response: { $case: "chunk", value } });
}

/** The same with logprobs and the five best. */
export function logprobsChunk(): GenerateResponse {
  return tokenChunk({
    tokenLogprobs: [-0.5],
    tokenIds: [12_345],
    topLogprobs: [{ values: [-0.5, -1.25, -2.5, -3, -4.75], tokenIds: [12_345, 17, 300, 40_000, 128_000] }],
  });
}

/** What a gateway sends for a short chat: 40 ids of a vocabulary of 128,000. */
export function chatRequest(): GenerateRequest {
  const inputIds = Array.from({ length: 40 }, (_, i) => (i * 7919) % 128_000);
  return GenerateRequest.create({
    requestId: "chatcmpl-0123456789abcdef0123456789abcdef",
    input: { $case: "tokenized", value: { inputIds } },
    samplingParams: {
      temperature: 0.5,
      topP: 0.75,
      repetitionPenalty: 1,
      maxTokens: 256,
      skipSpecialTokens: true,
      spacesBetweenSpecialTokens: true,
      n: 1,
    },
    stream: true,
  });
}
