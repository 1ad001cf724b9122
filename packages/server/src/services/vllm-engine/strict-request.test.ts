import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createMockEngine } from "../../engines/mock/mock-engine.ts";
import { GenerateRequest } from "../../generated/vllm_engine.ts";
import { mostValuesFor, strictRequest } from "./strict-request.ts";
import { isStatus } from "./testing/service-under-test.ts";

describe("decoding a request strictly", () => {
  const codec = strictRequest("GenerateRequest", GenerateRequest);

  it("reads what the generated code writes, a byte-order mark in a text included", () => {
    const request = GenerateRequest.create({ requestId: "\ufeffidé", stream: true, samplingParams: { n: 3 } });
    assert.deepEqual(codec.decode(GenerateRequest.encode(request).finish()), request);
  });

  const malformed: readonly (readonly [string, readonly number[], string])[] = [
    ["an id that is not UTF-8", [0x0a, 2, 0xc3, 0x28], "not a valid GenerateRequest: a text in it is not UTF-8"],
    ["a surrogate in UTF-8", [0x0a, 3, 0xed, 0xa0, 0x80], "is not UTF-8"],
    ["a text cut short", [0x0a, 5, 0x61], "not a valid GenerateRequest: RangeError"],
    ["a field of number 0, and what is behind it", [0x28, 1, 0x00, 0x28, 0], "unreadable from byte 3 on"],
    ["a varint without an end", [0x28, ...Array<number>(11).fill(0xff)], "not a valid GenerateRequest"],
    ["a wire type that does not exist", [0x07, 1], "not a valid GenerateRequest"],
  ];
  for (const [what, bytes, text] of malformed) {
    it(`refuses ${what}`, () =>
      assert.throws(() => codec.decode(Uint8Array.from(bytes)), isStatus("INVALID_ARGUMENT", text)));
  }

  it("skips fields that it does not know", () => {
    assert.equal(codec.decode(Uint8Array.from([0xfa, 0x07, 1, 0x61, 0x28, 1])).stream, true);
  });
});

describe("the bound on what a request holds", () => {
  const codec = strictRequest("GenerateRequest", GenerateRequest, () => 1000);
  const tooMany = isStatus("INVALID_ARGUMENT", "GenerateRequest: too many fields and numbers; must be at most 1000");
  const repeated = (bytes: readonly number[], count: number) =>
    Uint8Array.from({ length: bytes.length * count }, (_, i) => bytes[i % bytes.length] ?? 0);
  const nested = (tag: number, content: Uint8Array) =>
    Uint8Array.from([tag, 0x80 | (content.length & 0x7f), content.length >> 7, ...content]);

  it("takes a message that reaches it and refuses one that passes it", () => {
    const prompt = (ids: number) => nested(0x12, nested(0x12, new Uint8Array(ids)));
    const request = codec.decode(prompt(996));
    assert.ok(request.input?.$case === "tokenized");
    assert.equal(request.input.value.inputIds.length, 996);
    assert.throws(() => codec.decode(prompt(997)), tooMany);
  });

  const floods: readonly (readonly [string, Uint8Array])[] = [
    ["empty messages", repeated([0x5a, 0], 501)],
    ["empty messages in a message", nested(0x3a, repeated([0x2a, 0], 501))],
    ["empty texts", nested(0x22, repeated([0x52, 0], 501))],
    ["entries of a map", nested(0x22, repeated([0xd2, 0x01, 0], 501))],
    ["fields that it does not know", repeated([0x98, 0x06, 1], 1001)],
    ["fields of an unknown group", Uint8Array.from([0x9b, 0x06, ...repeated([0x08, 1], 1001)])],
  ];
  for (const [what, bytes] of floods) {
    it(`holds for ${what}`, () => assert.throws(() => codec.decode(bytes), tooMany));
  }

  it("leaves room for a full prompt and a bias for every token", async () => {
    const engine = createMockEngine({ model: { maxModelLenTokens: 100_000, vocabSize: 50_000 } });
    const logitBias: Record<number, number> = {};
    for (let id = 0; id < 50_000; id++) logitBias[id] = -100;
    const request = GenerateRequest.create({
      input: { $case: "tokenized", value: { inputIds: Array.from({ length: 100_000 }, (_, i) => i % 50_000) } },
      samplingParams: {},
    });
    if (request.samplingParams !== undefined) request.samplingParams.logitBias = logitBias;
    const bytes = GenerateRequest.encode(request).finish();
    const decode = () => strictRequest("GenerateRequest", GenerateRequest, () => mostValuesFor(engine)).decode(bytes);
    assert.equal(Object.keys(decode().samplingParams?.logitBias ?? {}).length, 50_000);
    await engine.start();
    assert.equal(Object.keys(decode().samplingParams?.logitBias ?? {}).length, 50_000);
    await engine.close(0);
  });
});
