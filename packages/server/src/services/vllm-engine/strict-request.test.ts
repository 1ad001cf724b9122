import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GenerateRequest } from "../../generated/vllm_engine.ts";
import { strictRequest } from "./strict-request.ts";
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
