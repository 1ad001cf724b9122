import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { GenerateResponse, type GenerateStreamChunk, type TopLogProbs } from "../../generated/vllm_engine.ts";
import { generateResponseCodec } from "./chunk-encoder.ts";

/** Around each length of a varint as well as anywhere. */
const uint32 = fc.oneof(
  fc.nat(0xffff_ffff),
  fc.constantFrom(0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456, 0xffff_ffff),
);
const ids = fc.array(uint32, { maxLength: 200 });
const floats = fc.array(fc.float(), { maxLength: 60 });
const tops: fc.Arbitrary<TopLogProbs[]> = fc.array(fc.record({ values: floats, tokenIds: ids }), { maxLength: 4 });

const chunk: fc.Arbitrary<GenerateStreamChunk> = fc.record({
  tokenIds: ids,
  promptTokens: uint32,
  completionTokens: uint32,
  cachedTokens: uint32,
  outputLogprobs: fc.option(fc.record({ tokenLogprobs: floats, tokenIds: ids, topLogprobs: tops }), { nil: undefined }),
  inputLogprobs: fc.option(
    fc.record({
      tokenLogprobs: fc.array(fc.record({ value: fc.option(fc.float(), { nil: undefined }) }), { maxLength: 60 }),
      tokenIds: ids,
      topLogprobs: tops,
    }),
    { nil: undefined },
  ),
  index: uint32,
});

/** What the codec writes into an output at a place in its middle, with no room to begin with. */
function inPlace(message: GenerateResponse): Buffer {
  const writer = {
    bytes: new Uint8Array(3),
    at: 3,
    reserve(size: number) {
      const grown = new Uint8Array(writer.at + size);
      grown.set(writer.bytes);
      writer.bytes = grown;
    },
  };
  generateResponseCodec.encodeInto?.(message, writer);
  return Buffer.from(writer.bytes.subarray(3, writer.at));
}

function bothEncodings(message: GenerateResponse): readonly [Buffer, Buffer] {
  const ours = generateResponseCodec.encode(message).finish();
  return [Buffer.from(ours), Buffer.from(GenerateResponse.encode(message).finish())];
}

describe("encoding a Generate answer", () => {
  it("gives the generated encoder's bytes for any chunk", () => {
    fc.assert(
      fc.property(chunk, (value) => {
        const message: GenerateResponse = { response: { $case: "chunk", value } };
        const [ours, generated] = bothEncodings(message);
        assert.ok(ours.equals(generated), `${ours.toString("hex")} is not ${generated.toString("hex")}`);
        assert.ok(inPlace(message).equals(generated));
      }),
      { numRuns: 500 },
    );
  });

  it("gives the generated encoder's bytes for a Complete and for nothing", () => {
    const complete = GenerateResponse.create({
      response: { $case: "complete", value: { outputIds: [1, 300], finishReason: "stop", promptTokens: 7 } },
    });
    for (const message of [complete, GenerateResponse.create({})]) {
      const [ours, generated] = bothEncodings(message);
      assert.deepEqual(ours, generated);
      assert.deepEqual(inPlace(message), generated);
    }
  });

  it("writes the usual chunk of one token in the wire's field order", () => {
    const value = { ...emptyChunk(), tokenIds: [1000], promptTokens: 40, completionTokens: 1 };
    const [ours] = bothEncodings({ response: { $case: "chunk", value } });
    assert.equal(ours.toString("hex"), "0a080a02e80710281801");
  });
});

function emptyChunk(): GenerateStreamChunk {
  const { response } = GenerateResponse.create({ response: { $case: "chunk", value: {} } });
  assert.ok(response?.$case === "chunk");
  return response.value;
}
