import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EngineCoreError } from "../engine-core-error.ts";
import { encodeMessagePack } from "../protocol/msgpack/writer.ts";
import { decodeKvEventBatch } from "./kv-event-batch.ts";

/** What msgspec 0.22 makes of a KVEventBatch of vLLM 0.32: a stored event with two blocks, a removed one, a cleared one. */
const ofMaps = Buffer.from(
  "93cb41d954fc40200000938ba474797065ab426c6f636b53746f726564ac626c6f636b5f68617368657392cffffffffffffffffe07b1706172656e" +
    "745f626c6f636b5f68617368c0a9746f6b656e5f69647394010203ce00011170aa626c6f636b5f73697a6502a76c6f72615f6964c0a66d65" +
    "6469756da3475055a96c6f72615f6e616d65c0aa65787472615f6b65797392c092a3696d6703a967726f75705f69647800b26b765f636163" +
    "68655f737065635f6b696e64ae66756c6c5f617474656e74696f6e84a474797065ac426c6f636b52656d6f766564ac626c6f636b5f686173" +
    "68657391c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fa66d656469756da3475055a967726f75705f" +
    "6964780081a474797065b0416c6c426c6f636b73436c656172656401",
  "hex",
);
/** As vLLM made them before: events are arrays, and the rank is nil. */
const ofArrays = Buffer.from(
  "93cb3ff00000000000009297ab426c6f636b53746f72656491050492080902c0a347505591b0416c6c426c6f636b73436c6561726564c0",
  "hex",
);

describe("a batch of KV events", () => {
  it("is read as vLLM 0.32 writes it, with hashes of 64 bits and of bytes", () => {
    assert.deepEqual(decodeKvEventBatch(ofMaps), {
      timestampS: 1_700_000_000.5,
      dataParallelRank: 1,
      events: [
        {
          t: "stored",
          blockHashes: [-2n, 7n],
          parentBlockHash: undefined,
          tokenIds: [1, 2, 3, 70_000],
          blockSizeTokens: 2,
          medium: "GPU",
          loraName: undefined,
          extraKeys: [undefined, ["img", 3]],
          groupIndex: 0,
          specKind: "full_attention",
        },
        { t: "removed", blockHashes: [0x18191a1b1c1d1e1fn], medium: "GPU", groupIndex: 0 },
        { t: "cleared" },
      ],
    });
  });

  it("is read as older versions write it, by places", () => {
    const { events, dataParallelRank } = decodeKvEventBatch(ofArrays);
    assert.equal(dataParallelRank, undefined);
    assert.equal(events.length, 2);
    const [stored] = events;
    assert.ok(stored?.t === "stored");
    assert.deepEqual([stored.blockHashes, stored.parentBlockHash, stored.tokenIds], [[5n], 4n, [8, 9]]);
    assert.deepEqual([stored.blockSizeTokens, stored.medium, stored.groupIndex], [2, "GPU", undefined]);
  });

  it("passes over places, keys and kinds that it does not know", () => {
    const event = { type: "BlockRemoved", block_hashes: [1], later: { deep: [1] } };
    const places = ["BlockRemoved", [2], "GPU", 0, "LOCAL", null, "later"];
    const wire = encodeMessagePack([1.5, [event, places, { type: "BlockMoved", to: 3 }], null, "later", [1]]);
    const { events } = decodeKvEventBatch(wire);
    assert.deepEqual(
      events.map((each) => each.t === "removed" && each.blockHashes),
      [[1n], [2n]],
    );
  });

  const refused: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["no batch", encodeMessagePack("x"), /a batch of KV events is not an array/],
    ["no events", encodeMessagePack([1]), /has 1 places/],
    ["no time", encodeMessagePack(["now", []]), /is no number/],
    ["an event without a kind", encodeMessagePack([1, [{ block_hashes: [] }]]), /has no kind/],
    ["an empty event", encodeMessagePack([1, [[]]]), /has no kind/],
    ["a stored event without tokens", encodeMessagePack([1, [{ type: "BlockStored" }]]), /lacks block_hashes/],
    ["hashes of text", encodeMessagePack([1, [["BlockRemoved", ["x"]]]]), /a block hash is not an integer/],
    ["bytes behind it", Buffer.concat([ofArrays, Buffer.of(0)]), /bytes follow/],
    ["a cut", ofMaps.subarray(0, 100), /bytes/],
  ];
  for (const [what, wire, message] of refused) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => decodeKvEventBatch(wire), message);
    });
  }

  it("of any changed bytes is read or a bad frame", () => {
    const change = fc.tuple(fc.nat(400), fc.nat(255));
    fc.assert(
      fc.property(
        fc.constantFrom(ofMaps, ofArrays),
        fc.array(change, { maxLength: 4 }),
        fc.nat(400),
        (wire, changes, cut) => {
          const bytes = Buffer.from(wire);
          for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
          try {
            decodeKvEventBatch(cut < bytes.length / 2 ? bytes.subarray(0, bytes.length - cut) : bytes);
          } catch (thrown) {
            assert.ok(thrown instanceof EngineCoreError && thrown.fault.kind === "bad-frame", String(thrown));
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
