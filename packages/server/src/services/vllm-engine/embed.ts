import type { EmbedRequest, EmbedResponse } from "../../generated/vllm_engine.ts";
import { endOf, type UnaryHandler } from "../../rpc/call.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { admit } from "./admission.ts";
import type { VllmEngineContext } from "./context.ts";
import { factsToCheckWith, requireReady } from "./engine-status.ts";
import type { InFlightRequests } from "./in-flight.ts";
import { validateInputIds } from "./validate/prompt.ts";
import { validateRequestId } from "./validate/request-id.ts";

/** Embed: one pooled vector of a tokenized prompt. An Abort of its id ends it with status ABORTED. */
export function embedHandler(
  context: VllmEngineContext,
  inFlight: InFlightRequests,
): UnaryHandler<EmbedRequest, EmbedResponse> {
  return async (request, call) => {
    const { engine } = context;
    const facts = factsToCheckWith(engine);
    const id = validateRequestId(request.requestId);
    if (request.tokenized === undefined) {
      throw GrpcStatusError.of("INVALID_ARGUMENT", "EmbedRequest requires tokenized input");
    }
    const tokenIds = validateInputIds(request.tokenized.inputIds, facts.vocabSize, facts.maxModelLenTokens);
    requireReady(engine);
    admit(context, inFlight, 1);
    const abort = new AbortController();
    const entry = inFlight.add(id, { outputs: 1, promptTokens: tokenIds.length }, () =>
      abort.abort(GrpcStatusError.of("ABORTED", "the request was aborted by an Abort call")),
    );
    const signal = AbortSignal.any([abort.signal, call.signal]);
    try {
      const embedding = await engine.embed({ id: entry.engineId, tokenIds }, signal);
      inFlight.lastReceivedAtMs = context.now();
      const values = Array.from(embedding.values);
      return { embedding: values, promptTokens: embedding.promptTokens, embeddingDim: values.length };
    } catch (thrown) {
      throw endOf(call) ?? (signal.aborted ? signal.reason : thrown);
    } finally {
      entry.allFinished();
      inFlight.remove(id);
    }
  };
}
