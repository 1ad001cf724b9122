import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EmbedRequest, type EmbedResponse } from "../../generated/vllm_engine.ts";
import { ScriptedCall } from "./testing/scripted-call.ts";
import { isStatus, type ServiceUnderTest, serviceUnderTest } from "./testing/service-under-test.ts";

const request = (inputIds: number[], requestId = "e") =>
  EmbedRequest.create({ requestId, tokenized: { originalText: "ignored", inputIds } });

function begin(service: ServiceUnderTest, message: EmbedRequest) {
  const call = new ScriptedCall<EmbedResponse>();
  const answer = service.call<EmbedResponse>("Embed", message, call);
  answer.catch(() => {});
  return { call, answer };
}

describe("Embed", () => {
  it("answers one vector with its length and the prompt's tokens", async () => {
    const service = await serviceUnderTest({ model: { embeddingDim: 4 } });
    const { answer } = begin(service, request([1, 2, 3]));
    service.engine.step();
    const { embedding, embeddingDim, promptTokens } = await answer;
    assert.deepEqual([embedding.length, embeddingDim, promptTokens], [4, 4, 3]);
    assert.ok(Array.isArray(embedding) && Math.abs(Math.hypot(...embedding) - 1) < 1e-6);
    await service.engine.close(0);
  });

  it("refuses what is wrong with a request, naming the field", async () => {
    const service = await serviceUnderTest({ model: { maxModelLenTokens: 4 } });
    const wrong = [
      [EmbedRequest.create({ requestId: "e" }), "EmbedRequest requires tokenized input"],
      [request([]), "tokenized.input_ids: empty"],
      [request([259]), "tokenized.input_ids[0]: outside the vocabulary, got 259"],
      [request([1, 2, 3, 4, 5]), "tokenized.input_ids: too long, got 5 tokens; must be 1 to 4 tokens"],
      [request([1], ""), "request_id: empty"],
    ] as const;
    for (const [message, problem] of wrong) {
      await assert.rejects(service.call("Embed", message), isStatus("INVALID_ARGUMENT", problem));
    }
    await service.engine.close(0);
  });

  it("is UNIMPLEMENTED for a model without embeddings", async () => {
    const service = await serviceUnderTest({ model: { embeddingDim: 0 } });
    await assert.rejects(service.call("Embed", request([1])), isStatus("UNIMPLEMENTED", "no embeddings"));
    await service.engine.close(0);
  });

  it("ends with the reason of its call, with ABORTED after an Abort, and refuses an id in flight", async () => {
    const service = await serviceUnderTest();
    const cancelled = begin(service, request([1]));
    await assert.rejects(service.call("Embed", request([1])), isStatus("ALREADY_EXISTS"));
    cancelled.call.cancel();
    await assert.rejects(cancelled.answer, isStatus("CANCELLED"));
    const aborted = begin(service, request([1]));
    await service.call("Abort", { requestIds: ["e"] });
    await assert.rejects(aborted.answer, isStatus("ABORTED"));
    await service.engine.close(0);
  });

  it("is UNAVAILABLE when the engine dies", async () => {
    const service = await serviceUnderTest();
    const { answer } = begin(service, request([1]));
    service.engine.die("killed");
    await assert.rejects(answer, isStatus("UNAVAILABLE", "killed"));
    await service.engine.close(0);
  });
});
