import type { ModelFacts } from "../../../engine/facts.ts";
import type { Prompt, SamplingParams } from "../../../engine/request.ts";
import type { GenerateRequest } from "../../../generated/vllm_engine.ts";
import { validatePrompt } from "./prompt.ts";
import { validateRequestId } from "./request-id.ts";
import { validateSamplingParams } from "./sampling-params.ts";
import { refuseUnsupportedInput } from "./unsupported-input.ts";

/** A GenerateRequest that an engine can take as it is. */
export interface ValidGenerateRequest {
  /** The caller's own id. */
  readonly requestId: string;
  readonly prompt: Prompt;
  readonly sampling: SamplingParams;
}

/**
 * Turns a message into what an engine takes. Nothing that is out of range gets past here: a token id outside the
 * vocabulary can take a whole engine down.
 *
 * @param dpRanks number of data-parallel ranks, at least 1.
 * @throws GrpcStatusError INVALID_ARGUMENT that names field, value and range; UNIMPLEMENTED for features we lack.
 */
export function validateGenerateRequest(
  request: GenerateRequest,
  facts: ModelFacts,
  dpRanks: number,
): ValidGenerateRequest {
  const requestId = validateRequestId(request.requestId);
  refuseUnsupportedInput(request, dpRanks);
  const sampling = validateSamplingParams(request.samplingParams, facts);
  return { requestId, sampling, prompt: validatePrompt(request, facts) };
}
