import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MockScript } from "../../engines/mock/mock-script.ts";
import type { GenerateRequest, GenerateResponse, GetServerInfoResponse } from "../../generated/vllm_engine.ts";
import { createLog } from "../../operations/log.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import type { VllmEngineContext } from "./context.ts";
import { ScriptedCall } from "./testing/scripted-call.ts";
import {
  chunks,
  completes,
  generateRequest,
  isStatus,
  type ServiceUnderTest,
  serviceUnderTest,
} from "./testing/service-under-test.ts";

function begin(service: ServiceUnderTest, request: GenerateRequest) {
  const call = new ScriptedCall<GenerateResponse>();
  const ended = service.call("Generate", request, call);
  // The test looks at the rejection later.
  ended.catch(() => {});
  return { call, ended };
}

async function withService(
  test: (service: ServiceUnderTest) => Promise<void>,
  script: MockScript = {},
  changes: Partial<VllmEngineContext> = {},
): Promise<void> {
  const service = await serviceUnderTest(script, changes);
  try {
    await test(service);
  } finally {
    await service.engine.close(0);
  }
}

const twoOutputs: MockScript = {
  outputs: [
    [10, 11, 12],
    [20, 21],
  ],
  cachedTokens: 2,
};

describe("Generate with stream=true", () => {
  it("sends a chunk per step and output, and an output's Complete right after its last chunk", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest({ n: 2 }));
      service.engine.step(4);
      await ended;
      const order = call.written.map(({ response }) => `${response?.$case} ${response?.value.index}`);
      assert.deepEqual(order, [
        ...["chunk 0", "chunk 1", "chunk 0", "chunk 1"],
        ...["chunk 0", "chunk 1", "complete 1", "chunk 0", "complete 0"],
      ]);
      for (const chunk of chunks(call)) {
        assert.deepEqual([chunk.promptTokens, chunk.cachedTokens, chunk.completionTokens], [3, 2, 1]);
        assert.deepEqual([chunk.outputLogprobs, chunk.inputLogprobs], [undefined, undefined]);
      }
      const ids = chunks(call).filter((chunk) => chunk.index === 0);
      assert.deepEqual(
        ids.flatMap((chunk) => chunk.tokenIds),
        [10, 11, 12, 257],
      );
    }, twoOutputs));

  it("says no token twice: Complete has none of a stream's ids and the count of all", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest());
      service.engine.step(4);
      await ended;
      const [complete] = completes(call);
      assert.deepEqual([complete?.outputIds, complete?.completionTokens], [[], 4]);
      assert.deepEqual([complete?.finishReason, complete?.matchedStop], ["stop", undefined]);
      assert.deepEqual([complete?.promptTokens, complete?.cachedTokens], [3, 2]);
    }, twoOutputs));

  it("names the stop token, the stop string and the length that ended an output", () =>
    withService(
      async (service) => {
        const sampled = [{ stopTokenIds: [101] }, { stop: ["he", "el"] }, { maxTokens: 1 }];
        const ends = [];
        for (const sampling of sampled) {
          const { call, ended } = begin(service, generateRequest(sampling));
          service.engine.step(5);
          await ended;
          ends.push(completes(call).map(({ finishReason, matchedStop }) => [finishReason, matchedStop])[0]);
        }
        assert.deepEqual(ends, [
          ["stop", { $case: "matchedTokenId", value: 101 }],
          ["stop", { $case: "matchedStopStr", value: "he" }],
          ["length", undefined],
        ]);
      },
      { outputs: ["hello"] },
    ));

  it("sends logprobs of the delta on each chunk, the prompt's on the first and again on Complete", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest({ logprobs: 2, promptLogprobs: 1, maxTokens: 2 }));
      service.engine.step(2);
      await ended;
      const [first, second] = chunks(call);
      assert.deepEqual(first?.outputLogprobs, {
        tokenLogprobs: [-0.5],
        tokenIds: [10],
        topLogprobs: [{ values: [-0.5, -0.75], tokenIds: [10, 11] }],
      });
      assert.deepEqual(first?.inputLogprobs?.tokenIds, [1, 2, 3]);
      assert.deepEqual(first?.inputLogprobs?.tokenLogprobs, [{ value: undefined }, { value: -0.5 }, { value: -0.5 }]);
      assert.deepEqual(first?.inputLogprobs?.topLogprobs[0], { values: [], tokenIds: [] });
      assert.deepEqual(second?.outputLogprobs?.tokenIds, [11]);
      assert.equal(second?.inputLogprobs, undefined);
      const [complete] = completes(call);
      assert.deepEqual(complete?.inputLogprobs, first?.inputLogprobs);
      assert.equal(complete?.outputLogprobs, undefined);
    }, twoOutputs));

  it("leaves the top lists out when only the sampled token was asked for", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest({ logprobs: 0, maxTokens: 1 }));
      service.engine.step();
      await ended;
      assert.deepEqual(chunks(call)[0]?.outputLogprobs, { tokenLogprobs: [-0.5], tokenIds: [10], topLogprobs: [] });
    }, twoOutputs));

  it("joins what a slow reader misses into one chunk per output", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest({ n: 2, ignoreEos: true, maxTokens: 6, logprobs: 0 }));
      await call.read(1);
      service.engine.step(5);
      assert.equal(call.written.length, 1, "nothing is written while the client does not read");
      await call.read(2);
      await call.read(2);
      assert.deepEqual(
        chunks(call).map((chunk) => [chunk.index, chunk.completionTokens, chunk.outputLogprobs?.tokenIds.length]),
        [
          [0, 1, 1],
          [1, 5, 5],
          [0, 4, 4],
        ],
      );
      service.engine.step();
      await call.read(Number.POSITIVE_INFINITY);
      await ended;
      assert.equal(
        chunks(call).reduce((sum, chunk) => sum + chunk.completionTokens, 0),
        12,
      );
      assert.equal(completes(call).length, 2);
    }, twoOutputs));

  it("sends the joined rest and Complete to a slow reader although the engine has long finished", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest({ maxTokens: 3 }));
      await call.read(1);
      service.engine.step(3);
      assert.equal(call.written.length, 1);
      await call.read(1);
      await ended;
      assert.deepEqual(chunks(call)[1]?.tokenIds, [11, 12]);
      assert.deepEqual([completes(call)[0]?.outputIds, completes(call)[0]?.completionTokens], [[], 3]);
    }, twoOutputs));

  it("ends an aborted request with an empty chunk and Complete abort, for all its outputs", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest({ n: 2 }));
      service.engine.step();
      await service.call("Abort", { requestIds: ["unknown", "r"] });
      assert.equal(service.load()?.runningRequests, 0, "the slots must be free at once");
      service.engine.step();
      await ended;
      assert.deepEqual(
        completes(call).map(({ index, finishReason, outputIds }) => [index, finishReason, outputIds]),
        [
          [0, "abort", []],
          [1, "abort", []],
        ],
      );
      assert.deepEqual(
        chunks(call)
          .slice(2)
          .map((chunk) => chunk.tokenIds),
        [[], []],
      );
    }, twoOutputs));
});

describe("Generate with stream=false", () => {
  it("sends one Complete per output with everything, when all have ended", () =>
    withService(async (service) => {
      const request = generateRequest({ n: 2, logprobs: 1, promptLogprobs: 0 }, { stream: false });
      const { call, ended } = begin(service, request);
      service.engine.step(3);
      assert.equal(call.written.length, 0, "output 1 has ended, output 0 has not");
      service.engine.step();
      await ended;
      assert.equal(chunks(call).length, 0);
      const [first, second] = completes(call);
      assert.deepEqual([first?.index, first?.outputIds, first?.completionTokens], [0, [10, 11, 12, 257], 4]);
      assert.deepEqual([second?.index, second?.outputIds, second?.completionTokens], [1, [20, 21, 257], 3]);
      assert.equal(first?.outputLogprobs?.topLogprobs.length, 4);
      assert.equal(first?.inputLogprobs?.tokenIds.length, 3);
    }, twoOutputs));

  it("keeps to the pace of a slow reader", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest({ n: 2, maxTokens: 1 }, { stream: false }));
      await call.read(1);
      service.engine.step();
      assert.equal(completes(call).length, 1);
      await call.read(2);
      await ended;
      assert.equal(completes(call).length, 2);
    }, twoOutputs));
});

describe("Generate and the end of its call", () => {
  it("frees the slot at once when the client cancels, and ends with that reason", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest());
      service.engine.step();
      call.cancel();
      assert.equal(service.load()?.runningRequests, 0);
      await assert.rejects(ended, isStatus("CANCELLED", "the client cancelled"));
      service.engine.step();
      assert.equal(call.written.length, 1, "nothing is written after the end");
    }));

  it("ends with DEADLINE_EXCEEDED while it waits for a slow reader", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest());
      await call.read(1);
      service.engine.step(3);
      call.cancel(GrpcStatusError.of("DEADLINE_EXCEEDED", "too late"));
      await assert.rejects(ended, isStatus("DEADLINE_EXCEEDED"));
      assert.equal(service.load()?.runningRequests, 0);
    }));

  it("never reaches the engine when the call has ended before", () =>
    withService(async (service) => {
      const call = new ScriptedCall<GenerateResponse>();
      call.cancel();
      await assert.rejects(service.call("Generate", generateRequest(), call), isStatus("CANCELLED"));
      assert.equal(service.engine.received.length, 0);
    }));

  it("lets a caller use an id again as soon as the call has ended, a cancelled one too", () =>
    withService(async (service) => {
      const first = begin(service, generateRequest());
      await assert.rejects(begin(service, generateRequest()).ended, isStatus("ALREADY_EXISTS", '"r"'));
      first.call.cancel();
      await assert.rejects(first.ended, isStatus("CANCELLED"));
      const second = begin(service, generateRequest({ maxTokens: 1 }));
      service.engine.step();
      await second.ended;
      assert.equal(completes(second.call)[0]?.finishReason, "length");
    }));

  it("counts requests in flight and forgets them when they end", () =>
    withService(async (service) => {
      const active = async () => (await service.call<GetServerInfoResponse>("GetServerInfo", {})).activeRequests;
      const { ended } = begin(service, generateRequest({ maxTokens: 1 }));
      assert.equal(await active(), 1);
      service.engine.step();
      await ended;
      assert.equal(await active(), 0);
    }));
});

describe("Generate and a failing engine", () => {
  it("is UNAVAILABLE when the engine dies, after what was made before reached the client", () =>
    withService(async (service) => {
      const { call, ended } = begin(service, generateRequest());
      await call.read(1);
      service.engine.step(3);
      service.engine.die("killed");
      await assert.rejects(ended, isStatus("UNAVAILABLE", "killed"));
      assert.deepEqual(
        chunks(call).map((chunk) => chunk.completionTokens),
        [1, 2],
      );
      await assert.rejects(begin(service, generateRequest()).ended, isStatus("UNAVAILABLE", "killed"));
    }));

  const kinds = [
    ["invalid-argument", "INVALID_ARGUMENT"],
    ["failed-precondition", "FAILED_PRECONDITION"],
    ["resource-exhausted", "RESOURCE_EXHAUSTED"],
    ["unavailable", "UNAVAILABLE"],
    ["unimplemented", "UNIMPLEMENTED"],
    ["internal", "INTERNAL"],
  ] as const;
  for (const [kind, status] of kinds) {
    it(`answers an engine's ${kind} with ${status}`, () => {
      const error = { kind, message: "what went wrong", field: "sampling_params.regex" };
      const script: MockScript = { faults: [{ kind: "error", request: 1, afterTokens: 0, error }] };
      return withService(async (service) => {
        const { ended } = begin(service, generateRequest());
        service.engine.step();
        const text = kind === "internal" ? "internal error" : "sampling_params.regex: what went wrong";
        await assert.rejects(ended, isStatus(status, text));
      }, script);
    });
  }
});

describe("Generate while the engine is away", () => {
  it("refuses a wrong request as wrong, so that nobody tries it elsewhere, and a right one as UNAVAILABLE", () =>
    withService(async (service) => {
      service.engine.die("as scripted");
      const wrong = begin(service, generateRequest({ topP: 2 }));
      await assert.rejects(wrong.ended, isStatus("INVALID_ARGUMENT", "sampling_params.top_p"));
      await assert.rejects(begin(service, generateRequest()).ended, isStatus("UNAVAILABLE", "the engine is dead"));
    }));
});

describe("Generate and the log", () => {
  it("says nothing of a request that went well above debug", async () => {
    const log = createLog("silent");
    const told: string[] = [];
    for (const level of ["info", "warn", "error"] as const) log[level] = () => told.push(level);
    await withService(
      async (service) => {
        const { ended } = begin(service, generateRequest({ maxTokens: 1 }));
        service.engine.step();
        await ended;
      },
      {},
      { log },
    );
    assert.deepEqual(told, []);
  });
});

describe("Generate and its queue", () => {
  const oneSlot: MockScript = { model: { maxNumSeqs: 1 } };
  const named = (requestId: string) => generateRequest({}, { requestId });

  it("refuses with a push-back when as many wait as the limit allows, before the engine has made a step", () =>
    withService(
      async (service) => {
        const running = [begin(service, named("a")), begin(service, named("b"))];
        await assert.rejects(begin(service, named("c")).ended, (thrown) => {
          isStatus("RESOURCE_EXHAUSTED", "the limit is 1")(thrown);
          assert.ok(thrown instanceof GrpcStatusError);
          assert.deepEqual(thrown.trailers, { "grpc-retry-pushback-ms": "1000" });
          return true;
        });
        for (const { call } of running) call.cancel();
        const again = begin(service, named("c"));
        service.engine.step(2);
        assert.equal(chunks(again.call).length, 2);
        again.call.cancel();
        await assert.rejects(again.ended);
      },
      oneSlot,
      { maxWaitingRequests: 1 },
    ));

  it("refuses more when a stuck engine lets go of nothing that was given up, and takes requests again when it does", () =>
    withService(
      async (service) => {
        for (const id of ["a", "b", "c"]) {
          const { call, ended } = begin(service, named(id));
          call.cancel();
          await assert.rejects(ended, isStatus("CANCELLED"));
        }
        const text = "the engine has not let go of 3 requests that were given up";
        await assert.rejects(begin(service, named("d")).ended, isStatus("RESOURCE_EXHAUSTED", text));
        service.engine.step();
        const { call, ended } = begin(service, named("d"));
        service.engine.step(2);
        assert.equal(chunks(call).length, 2);
        call.cancel();
        await assert.rejects(ended);
      },
      oneSlot,
      { maxWaitingRequests: 1 },
    ));

  it("counts nothing for requests that the engine refused or failed", () =>
    withService(
      async (service) => {
        for (let i = 0; i < 4; i++) {
          const { ended } = begin(service, named("a"));
          service.engine.step();
          await assert.rejects(ended, isStatus("INTERNAL"));
        }
      },
      {
        ...oneSlot,
        faults: [1, 2, 3, 4].map((request) => ({
          kind: "error",
          request,
          afterTokens: 0,
          error: { kind: "internal", message: "as scripted" },
        })),
      },
      { maxWaitingRequests: 0 },
    ));

  it("admits what can run at once when nothing may wait", () =>
    withService(
      async (service) => {
        const first = begin(service, named("a"));
        service.engine.step();
        await assert.rejects(begin(service, named("b")).ended, isStatus("RESOURCE_EXHAUSTED"));
        assert.equal(chunks(first.call).length, 1);
      },
      oneSlot,
      { maxWaitingRequests: 0 },
    ));

  it("refuses with a push-back while as many prompt tokens wait as the limit allows, until outputs come", () =>
    withService(
      async (service) => {
        // Three prompt tokens each: the second request meets a queue below the limit.
        const running = [begin(service, named("a")), begin(service, named("b"))];
        await assert.rejects(begin(service, named("c")).ended, (thrown) => {
          isStatus("RESOURCE_EXHAUSTED", "6 prompt tokens wait already; the limit is 4")(thrown);
          assert.ok(thrown instanceof GrpcStatusError);
          assert.deepEqual(thrown.trailers, { "grpc-retry-pushback-ms": "1000" });
          return true;
        });
        service.engine.step();
        running.push(begin(service, named("c")));
        for (const { call, ended } of running) {
          call.cancel();
          await assert.rejects(ended, isStatus("CANCELLED"));
        }
      },
      { model: { maxNumSeqs: 8 } },
      { maxQueuedPromptTokens: 4 },
    ));

  it("counts the prompt tokens of requests that were given up until the engine lets go of them", () =>
    withService(
      async (service) => {
        const { call, ended } = begin(service, named("a"));
        call.cancel();
        await assert.rejects(ended, isStatus("CANCELLED"));
        await assert.rejects(begin(service, named("b")).ended, isStatus("RESOURCE_EXHAUSTED", "3 prompt tokens"));
        service.engine.step();
        const again = begin(service, named("b"));
        again.call.cancel();
        await assert.rejects(again.ended, isStatus("CANCELLED"));
      },
      oneSlot,
      { maxQueuedPromptTokens: 1 },
    ));
});
