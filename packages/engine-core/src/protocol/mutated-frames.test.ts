import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EngineCoreError } from "../engine-core-error.ts";
import { decodeHandshake, decodeIdentity } from "./handshake.ts";
import { encodeMessagePack } from "./msgpack/writer.ts";
import { decodeOutputs } from "./outputs.ts";
import { decodeReadyResponse } from "./ready-response.ts";
import { goldenOutputs, readGoldenFrames } from "./testing/read-golden-frames.ts";

/** True for a value, false for a bad frame; anything else is a failure of ours. */
function reads(decode: () => unknown): boolean {
  try {
    decode();
    return true;
  } catch (thrown) {
    assert.ok(thrown instanceof EngineCoreError, String(thrown));
    assert.equal(thrown.fault.kind, "bad-frame");
    assert.ok(thrown.message.length < 500, "a message does not repeat what came without bound");
    return false;
  }
}

function readsOutputs(frames: readonly Uint8Array[]): boolean {
  return reads(() => decodeOutputs(frames).schedulerStats());
}

interface Change {
  readonly at: number;
  readonly kind: "byte" | "cut" | "insert" | "remove";
  readonly byte: number;
}

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(2_000),
  kind: fc.constantFrom("byte", "byte", "byte", "cut", "insert", "remove"),
  // Headers of every type, and any byte.
  byte: fc.oneof(fc.integer({ min: 0x80, max: 0xdf }), fc.integer({ min: 0, max: 0xff })),
});

function changed(bytes: Uint8Array, changes: readonly Change[]): Uint8Array {
  let result = [...bytes];
  for (const { at, kind, byte } of changes) {
    const place = at % Math.max(1, result.length);
    if (kind === "byte") result[place] = byte;
    else if (kind === "cut") result = result.slice(0, place);
    else if (kind === "insert") result.splice(place, 0, byte);
    else result.splice(place, 1);
  }
  return Uint8Array.from(result);
}

describe("a frame from an engine", () => {
  const outputs = goldenOutputs();

  it("that ends early is a bad frame wherever it ends", () => {
    for (const [body = new Uint8Array(), ...rest] of outputs) {
      for (let length = 0; length < body.length; length += length < 64 ? 1 : 13) {
        assert.equal(readsOutputs([body.subarray(0, length), ...rest]), false, `${length} of ${body.length} bytes`);
      }
    }
  });

  it("with any bytes changed is read or refused, and nothing else happens", () => {
    fc.assert(
      fc.property(fc.constantFrom(...outputs), fc.array(change, { minLength: 1, maxLength: 4 }), (frames, changes) => {
        const [body = new Uint8Array(), ...rest] = frames;
        readsOutputs([changed(body, changes), ...rest]);
      }),
      { numRuns: 5_000 },
    );
  });

  it("of any bytes at all is read or refused", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }), (frames) => {
        readsOutputs(frames);
        for (const frame of frames) {
          reads(() => decodeHandshake(frame));
          reads(() => decodeReadyResponse(0, frame));
          reads(() => decodeIdentity(frame));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("without the frames that its tensors are in is refused", () => {
    const [, message] = readGoldenFrames("add-prompt-logprobs-frames");
    const frames = message?.frames ?? [];
    assert.equal(readsOutputs(frames), true);
    for (let count = 0; count < frames.length; count++) assert.equal(readsOutputs(frames.slice(0, count)), false);
    const [body = new Uint8Array(), ...rest] = frames;
    assert.equal(readsOutputs([body, ...rest.map((frame) => frame.subarray(1))]), false);
  });

  it("cannot claim more than it brings", () => {
    const claims = [
      "dd ff ff ff ff",
      "92 00 dd 7f ff ff ff",
      "92 00 91 92 db ff ff ff ff",
      "92 00 91 92 a1 61 dd 00 10 00 00",
    ];
    for (const hex of claims) assert.equal(readsOutputs([Buffer.from(hex.replaceAll(" ", ""), "hex")]), false, hex);
    const huge = [2 ** 30, 2 ** 30, 2 ** 30];
    const table = (shape: readonly number[]) => ["<i4", shape, new Uint8Array(12)];
    const output = ["a", [1], [table(huge), table(huge), table(huge), null]];
    assert.equal(readsOutputs([encodeMessagePack([0, [output]])]), false);
  });

  it("is not read where it is a pickle, whoever asks", () => {
    for (const type of [1, 2]) {
      const pickle = Buffer.concat([
        Buffer.from("990090c0cb0000000000000000930ac092c0", "hex"),
        Buffer.from([0xd4, type, 0x2e]),
      ]);
      assert.equal(readsOutputs([Buffer.concat([pickle, Buffer.from("c0c0c0c0", "hex")])]), false);
    }
  });

  it("may nest as deep as it likes where nobody looks", () => {
    const depth = 100_000;
    const deep = Buffer.concat([Buffer.alloc(depth, 0x91), Buffer.from([0xc0])]);
    const passedOver = Buffer.concat([
      Buffer.from("92 00 91 98".replaceAll(" ", ""), "hex"),
      Buffer.from("a16190c0c0c0c0c0", "hex"),
      deep,
    ]);
    assert.equal(readsOutputs([passedOver]), true);
    assert.equal(
      reads(() => decodeReadyResponse(0, deep)),
      false,
    );
  });
});
