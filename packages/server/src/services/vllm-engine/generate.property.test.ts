import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { GenerateRequest, type GenerateResponse, type SamplingParams } from "../../generated/vllm_engine.ts";
import { GrpcStatusError, StatusCode } from "../../rpc/status.ts";
import { ScriptedCall } from "./testing/scripted-call.ts";
import { completes, serviceUnderTest } from "./testing/service-under-test.ts";

/** Mostly in range, so that a good part of the requests runs. */
const often = <T>(usual: T, other: fc.Arbitrary<T>) =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 25 }, { arbitrary: other, weight: 1 });

const float = fc.float();
const uint32 = fc.nat(0xffff_ffff);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const text = fc.string({ unit: "grapheme", maxLength: 12 });

const constraint: fc.Arbitrary<SamplingParams["constraint"]> = fc.oneof(
  fc.record({ $case: fc.constantFrom("jsonSchema", "regex", "grammar", "structuralTag"), value: text }),
  fc.record({ $case: fc.constant("jsonObject" as const), value: fc.boolean() }),
  fc.record({ $case: fc.constant("choice" as const), value: fc.record({ choices: fc.array(text, { maxLength: 3 }) }) }),
);

const samplingParams: fc.Arbitrary<SamplingParams> = fc.record({
  temperature: often<number | undefined>(1, fc.option(float, { nil: undefined })),
  topP: often(0, float),
  topK: often(0, uint32),
  minP: often(0, float),
  frequencyPenalty: often(0, float),
  presencePenalty: often(0, float),
  repetitionPenalty: often(0, float),
  maxTokens: often<number | undefined>(8, fc.option(uint32, { nil: undefined })),
  minTokens: often(0, uint32),
  stop: often([], fc.array(text, { maxLength: 3 })),
  stopTokenIds: often([], fc.array(uint32, { maxLength: 3 })),
  skipSpecialTokens: fc.boolean(),
  spacesBetweenSpecialTokens: fc.boolean(),
  ignoreEos: fc.boolean(),
  n: fc.oneof({ arbitrary: fc.nat(4), weight: 9 }, { arbitrary: uint32, weight: 1 }),
  constraint: often(undefined, constraint),
  logprobs: often<number | undefined>(undefined, int32),
  promptLogprobs: often<number | undefined>(undefined, int32),
  seed: fc.option(int32, { nil: undefined }),
  includeStopStrInOutput: fc.boolean(),
  logitBias: often({}, fc.dictionary(int32.map(String), float, { maxKeys: 2 })),
  truncatePromptTokens: often<number | undefined>(undefined, int32),
  grammarFromFirstToken: fc.boolean(),
});

const input: fc.Arbitrary<GenerateRequest["input"]> = fc.oneof(
  fc.record({
    $case: fc.constant("tokenized" as const),
    value: fc.record({ originalText: text, inputIds: often([1, 2], fc.array(uint32, { maxLength: 3 })) }),
  }),
  fc.record({ $case: fc.constant("text" as const), value: fc.string({ maxLength: 70 }) }),
  fc.constant(undefined),
);

const request: fc.Arbitrary<GenerateRequest> = fc
  .record({
    requestId: often("id", text),
    input,
    samplingParams: fc.option(samplingParams, { nil: undefined }),
    stream: fc.boolean(),
    kvTransferParamsJson: often<string | undefined>(undefined, fc.json()),
    dataParallelRank: often<number | undefined>(undefined, int32),
  })
  .map((fields) => ({ ...GenerateRequest.create({}), ...fields }));

it("any request is answered by one Complete per output or by a status, and leaves the engine idle", async () => {
  const script = { stepIntervalMs: 0, model: { maxModelLenTokens: 64 } };
  const service = await serviceUnderTest(script, { maxWaitingRequests: 1000 });
  const { decodeRequest } = service.method("Generate");
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(request, async (message) => {
      const call = new ScriptedCall<GenerateResponse>();
      const decoded = decodeRequest(GenerateRequest.encode(message).finish());
      try {
        await service.call("Generate", decoded, call);
        answered += 1;
        assert.equal(completes(call).length, message.samplingParams?.n || 1);
      } catch (thrown) {
        assert.ok(thrown instanceof GrpcStatusError, String(thrown));
        assert.ok(thrown.code === StatusCode.INVALID_ARGUMENT || thrown.code === StatusCode.UNIMPLEMENTED);
      }
      assert.equal(service.load()?.runningRequests, 0);
    }),
    { numRuns: 300 },
  );
  assert.ok(answered > 20, `only ${answered} requests were good ones`);
  await service.engine.close(0);
});

it("any bytes decode into a request or fail with INVALID_ARGUMENT", async () => {
  const service = await serviceUnderTest();
  const { decodeRequest } = service.method("Generate");
  const good = request.map((message) => GenerateRequest.encode(message).finish());
  const broken = fc
    .tuple(good, fc.nat(), fc.nat(255))
    .map(([bytes, at, value]) => bytes.map((byte, i) => (i === at % bytes.length ? value : byte)));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), good, broken), (bytes) => {
      try {
        decodeRequest(bytes);
      } catch (thrown) {
        assert.ok(thrown instanceof GrpcStatusError && thrown.code === StatusCode.INVALID_ARGUMENT);
      }
    }),
    { numRuns: 1000 },
  );
  await service.engine.close(0);
});
