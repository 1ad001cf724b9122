import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { wrapEngine } from "../../engine/wrap-engine.ts";
import { createMockEngine } from "../../engines/mock/mock-engine.ts";
import type { GetLoadsResponse, GetModelInfoResponse, GetServerInfoResponse } from "../../generated/vllm_engine.ts";
import { ScriptedCall } from "./testing/scripted-call.ts";
import { generateRequest, isStatus, serviceOver, serviceUnderTest } from "./testing/service-under-test.ts";

const notStarted = () => serviceOver(createMockEngine({}));

describe("GetModelInfo", () => {
  it("tells the model's facts and the name it is served under", async () => {
    const service = await serviceUnderTest({ model: { modelPath: "m.gguf", maxModelLenTokens: 64 } });
    assert.deepEqual(await service.call<GetModelInfoResponse>("GetModelInfo", {}), {
      modelPath: "m.gguf",
      isGeneration: true,
      maxContextLength: 64,
      vocabSize: 259,
      supportsVision: false,
      servedModelName: "served",
      tokenizerPath: "",
      modelType: "mock",
      architectures: ["MockForCausalLM"],
      eosTokenIds: [257],
      padTokenId: 258,
      bosTokenId: 256,
      maxReqInputLen: 64,
      defaultSamplingParamsJson: "",
    });
    await service.engine.close(0);
  });

  it("tells the recommended sampling as compact JSON of the names that the wire knows", async () => {
    const engine = createMockEngine({});
    await engine.start();
    const facts = { ...engine.facts(), defaultSampling: { temperature: 0.5, top_k: 20, typical_p: 0.9 } };
    const service = serviceOver({ ...wrapEngine(engine, {}), facts: () => facts });
    const info = await service.call<GetModelInfoResponse>("GetModelInfo", {});
    assert.equal(info.defaultSamplingParamsJson, '{"temperature":0.5,"top_k":20}');
    await engine.close(0);
  });

  it("is UNAVAILABLE before the engine was ready", () =>
    assert.rejects(notStarted().call("GetModelInfo", {}), isStatus("UNAVAILABLE", "the engine is idle")));
});

describe("GetServerInfo", () => {
  it("tells the server's life, the requests in flight and the engine's cache", async () => {
    const service = await serviceUnderTest({ model: { maxNumSeqs: 3, blockSizeTokens: 32 } });
    const call = new ScriptedCall();
    const generating = service.call("Generate", generateRequest(), call);
    const before = await service.call<GetServerInfoResponse>("GetServerInfo", {});
    assert.deepEqual([before.activeRequests, before.lastReceiveTimestamp, before.uptimeSeconds], [1, 0, 100]);
    assert.deepEqual([before.serverType, before.constrainedDecodingStart], ["tokenwire-grpc", "first_token"]);
    assert.deepEqual([before.maxNumSeqs, before.blockSize, before.dataParallelSize], [3, 32, 1]);
    assert.deepEqual([before.kvCacheDtype, before.modelDtype], ["float32", "float32"]);
    service.engine.step();
    const later = await service.call<GetServerInfoResponse>("GetServerInfo", {});
    assert.equal(later.lastReceiveTimestamp, 1000);
    call.cancel();
    await assert.rejects(generating);
    await service.engine.close(0);
  });

  it("keeps the engine's facts after its death, and says when it is paused", async () => {
    const service = await serviceUnderTest({ model: { maxNumSeqs: 3 } });
    service.engine.die("as scripted");
    const dead = await service.call<GetServerInfoResponse>("GetServerInfo", {});
    assert.deepEqual([dead.maxNumSeqs, dead.isPaused], [3, false]);
    const sleeping = new Proxy(service.engine, {
      get: (target, name) => {
        if (name === "pausedBecause") return "It sleeps.";
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    assert.equal((await serviceOver(sleeping).call<GetServerInfoResponse>("GetServerInfo", {})).isPaused, true);
    await service.engine.close(0);
  });

  it("answers before the engine is ready, without its facts", async () => {
    const info = await notStarted().call<GetServerInfoResponse>("GetServerInfo", {});
    assert.deepEqual([info.uptimeSeconds, info.dataParallelSize, info.maxNumSeqs], [100, 1, 0]);
  });
});

describe("GetLoads", () => {
  it("tells one rank's load with time and version, although nothing is logged", async () => {
    const script = { model: { maxNumSeqs: 1, maxModelLenTokens: 10 }, cachedTokens: 1 };
    const service = await serviceUnderTest(script, { logStats: false });
    const calls = ["a", "b"].map((requestId) => {
      const call = new ScriptedCall();
      const ended = service.call("Generate", generateRequest({}, { requestId }), call);
      ended.catch(() => {});
      return call;
    });
    service.engine.step(2);
    const answer = await service.call<GetLoadsResponse>("GetLoads", { dpRank: undefined, include: ["core", "queues"] });
    assert.deepEqual([answer.timestamp, answer.version, answer.dpRankCount], ["1970-01-01T00:16:40.000Z", "1.2.3", 1]);
    assert.deepEqual(answer.loads, [
      {
        dpRank: 0,
        numRunningReqs: 1,
        numWaitingReqs: 1,
        numTotalReqs: 2,
        numUsedTokens: 5,
        maxTotalNumTokens: 10,
        tokenUsage: 0.5,
        genThroughput: 1,
        cacheHitRate: 1 / 3,
        utilization: 0.5,
        maxRunningRequests: 1,
        numWaitingUncachedTokens: 2,
      },
    ]);
    for (const call of calls) call.cancel();
    await service.engine.close(0);
  });

  it("answers for the rank asked for and refuses one that does not exist", async () => {
    const service = await serviceUnderTest();
    const one = await service.call<GetLoadsResponse>("GetLoads", { dpRank: 0, include: [] });
    assert.equal(one.loads.length, 1);
    const unknown = service.call("GetLoads", { dpRank: 3, include: [] });
    await assert.rejects(unknown, isStatus("INVALID_ARGUMENT", "dp_rank: unknown, got 3; must be from 0 to 0"));
    await service.engine.close(0);
  });

  it("is UNAVAILABLE while the engine starts, and does not read as idle", () =>
    assert.rejects(
      notStarted().call("GetLoads", { dpRank: undefined, include: [] }),
      isStatus("UNAVAILABLE", "the engine is starting"),
    ));
});
