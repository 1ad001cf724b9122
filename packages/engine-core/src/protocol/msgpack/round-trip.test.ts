import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Decoded, decodeMessagePack, Extension, MessagePackReader } from "./reader.ts";
import { encodeMessagePack, MessagePackWriter } from "./writer.ts";

const { value } = fc.letrec<{ value: Decoded }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer({ min: -40_000, max: 70_000 }),
    fc.double({ noNaN: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 20 }),
    fc
      .array(fc.tuple(fc.oneof(fc.string(), fc.integer()), tie("value")), { maxLength: 20 })
      .map((each) => new Map(each)),
  ),
}));

describe("MessagePack", () => {
  it("is read as it was written, value for value", () => {
    fc.assert(
      fc.property(value, (written) => {
        assert.deepEqual(plain(decodeMessagePack(encodeMessagePack(written as never))), plain(written));
      }),
      { numRuns: 1_000 },
    );
  });

  it("is passed over as far as it is read", () => {
    fc.assert(
      fc.property(value, (written) => {
        const bytes = encodeMessagePack([written as never, 1]);
        const reader = new MessagePackReader(bytes.subarray(1));
        reader.skip();
        assert.equal(reader.integer("what follows"), 1);
        assert.ok(reader.isAtEnd);
      }),
      { numRuns: 1_000 },
    );
  });

  it("has its shortest form at every limit of a width", () => {
    const forms: readonly (readonly [number | bigint, string])[] = [
      [0, "00"],
      [127, "7f"],
      [128, "cc80"],
      [255, "ccff"],
      [256, "cd0100"],
      [65_535, "cdffff"],
      [65_536, "ce00010000"],
      [2 ** 32 - 1, "ceffffffff"],
      [2 ** 32, "cf0000000100000000"],
      [2n ** 64n - 1n, "cfffffffffffffffff"],
      [-1, "ff"],
      [-32, "e0"],
      [-33, "d0df"],
      [-128, "d080"],
      [-129, "d1ff7f"],
      [-32_768, "d18000"],
      [-32_769, "d2ffff7fff"],
      [-(2 ** 31), "d280000000"],
      [-(2 ** 31) - 1, "d3ffffffff7fffffff"],
      [-(2n ** 63n), "d38000000000000000"],
      [0.5, "cb3fe0000000000000"],
      [2 ** 60, "cb43b0000000000000"],
    ];
    for (const [number, hex] of forms) assert.equal(hexOf(encodeMessagePack(number)), hex, String(number));
  });

  it("leaves out keys that say nothing, and numbers keys of a Map", () => {
    assert.equal(hexOf(encodeMessagePack({ a: undefined, b: null })), "81a162c0");
    assert.equal(
      hexOf(
        encodeMessagePack(
          new Map([
            [5, undefined],
            [7, 1],
          ]),
        ),
      ),
      "810701",
    );
    assert.equal(hexOf(encodeMessagePack([undefined])), "91c0");
  });

  it("does not write what the wire cannot say", () => {
    assert.throws(() => encodeMessagePack(2n ** 64n), RangeError);
    assert.throws(() => encodeMessagePack(-(2n ** 63n) - 1n), RangeError);
  });

  it("carries raw bytes as the one extension that is read", () => {
    for (const length of [0, 1, 3, 16, 255, 256, 70_000]) {
      const writer = new MessagePackWriter();
      writer.extension(3, new Uint8Array(length).fill(7));
      const read = decodeMessagePack(writer.take());
      assert.ok(read instanceof Extension);
      assert.equal(read.bytes.length, length);
    }
  });
});

/** Buffers and other arrays of bytes are the same value. */
function plain(decoded: Decoded): unknown {
  if (decoded instanceof Map) return new Map([...decoded].map(([key, member]) => [key, plain(member)]));
  if (decoded instanceof Uint8Array) return [...decoded];
  return Array.isArray(decoded) ? decoded.map(plain) : decoded;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
