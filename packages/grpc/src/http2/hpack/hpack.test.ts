import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder, type Indexing } from "./encoder.ts";
import { HpackError } from "./hpack-error.ts";
import { decodeHuffman, encodeHuffman, huffmanBytes } from "./huffman.ts";
import { writeInteger } from "./integer.ts";
import { staticTable } from "./static-table.ts";

const bytesOfHex = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ""), "hex");
const decode = (decoder: HpackDecoder, block: Uint8Array, bound = 1 << 20): string[] =>
  decoder.decode(block, 0, block.length, bound).fields;
const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });

describe("Huffman coding", () => {
  it("gives back every string, in the length that was foretold", () => {
    fc.assert(
      fc.property(latin1, (text) => {
        const out = new Uint8Array(text.length * 4 + 4);
        const end = encodeHuffman(out, 0, text);
        assert.equal(end, huffmanBytes(text));
        assert.equal(decodeHuffman(out, 0, end), text);
      }),
      { numRuns: 300 },
    );
  });

  it("writes the strings of RFC 7541 appendix C as they stand there", () => {
    const samples: readonly (readonly [string, string])[] = [
      ["www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"],
      ["no-cache", "a8eb10649cbf"],
      ["custom-value", "25a849e95bb8e8b4bf"],
      ["Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"],
    ];
    for (const [text, hex] of samples) {
      const out = new Uint8Array(64);
      const end = encodeHuffman(out, 0, text);
      assert.equal(Buffer.from(out.subarray(0, end)).toString("hex"), hex);
      assert.equal(decodeHuffman(bytesOfHex(hex), 0, hex.length / 2), text);
    }
  });

  it("refuses padding of more than seven bits, padding with zeros, and the end marker", () => {
    for (const hex of ["ff", "1fff", "00", "a8eb10649cb0", "ffffffff", "fffffffc"]) {
      const bytes = bytesOfHex(hex);
      assert.throws(() => decodeHuffman(bytes, 0, bytes.length), HpackError, hex);
    }
  });

  it("never does anything but decode or refuse", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const text = decodeHuffman(bytes, 0, bytes.length);
          const out = new Uint8Array(200);
          assert.deepEqual(out.subarray(0, encodeHuffman(out, 0, text)), bytes);
        } catch (thrown) {
          assert.ok(thrown instanceof HpackError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("the decoder", () => {
  it("reads the requests of RFC 7541 appendix C.4, with and without what it remembers", () => {
    const decoder = new HpackDecoder();
    const first = [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"];
    assert.deepEqual(decode(decoder, bytesOfHex("828684418cf1e3c2e5f23a6ba0ab90f4ff")), first);
    assert.deepEqual(decode(decoder, bytesOfHex("828684be5886a8eb10649cbf")), [...first, "cache-control", "no-cache"]);
    assert.deepEqual(decode(decoder, bytesOfHex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf")), [
      ":method",
      "GET",
      ":scheme",
      "https",
      ":path",
      "/index.html",
      ":authority",
      "www.example.com",
      "custom-key",
      "custom-value",
    ]);
    assert.equal(decoder.tableBytes, 164);
  });

  it("evicts as RFC 7541 appendix C.6 does", () => {
    const decoder = new HpackDecoder(256);
    const blocks = [
      "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
      "4883640effc1c0bf",
      "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ];
    const lists = blocks.map((block) => decode(decoder, bytesOfHex(block)));
    assert.equal(lists[0]?.[1], "302");
    assert.equal(lists[1]?.[1], "307");
    assert.equal(lists[2]?.[11], "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
    assert.equal(decoder.tableBytes, 215);
  });

  it("refuses what no encoder writes", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["80", "index 0"],
      ["be", "an index behind the end"],
      ["7e 00", "a name behind the end"],
      ["3fe21f", "a table above the allowed"],
      ["82 20", "a size update behind a field"],
      ["ff", "an integer cut off"],
      ["ff8080808080", "an integer without end"],
      ["40", "no name"],
      ["40 01", "a name cut off"],
      ["40 01 61", "no value"],
      ["40 01 61 7f ff ff ff 7f", "a value far longer than the block"],
    ];
    for (const [hex, what] of cases) assert.throws(() => decode(new HpackDecoder(), bytesOfHex(hex)), HpackError, what);
  });

  it("counts a list that is too large to its end and keeps none of it, while the table goes on", () => {
    const decoder = new HpackDecoder();
    const block = bytesOfHex("4001610162 be be be 4001630164");
    const list = decoder.decode(block, 0, block.length, 100);
    assert.deepEqual(list, { fields: [], bytes: 5 * 34 });
    assert.deepEqual(decode(decoder, bytesOfHex("bebf")), ["c", "d", "a", "b"]);
  });

  it("never does anything but decode or refuse, and never holds more than its table may", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (blocks) => {
        const decoder = new HpackDecoder();
        for (const block of blocks) {
          try {
            decode(decoder, block);
          } catch (thrown) {
            assert.ok(thrown instanceof HpackError);
            return;
          }
          assert.ok(decoder.tableBytes <= 4096);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("encoder and decoder", () => {
  it("agree on every list, whatever is indexed and however the table's size moves", () => {
    const name = fc.oneof(
      fc.constantFrom("a", "grpc-status", "content-type", ":status"),
      fc.stringMatching(/^[a-z]{1,9}$/),
    );
    const field = fc.tuple(name, latin1, fc.constantFrom<Indexing>("index", "plain", "never"));
    const size = fc.option(fc.tuple(fc.nat(5000), fc.nat(5000)), { nil: undefined });
    const block = fc.tuple(size, fc.array(field, { maxLength: 8 }));
    fc.assert(
      fc.property(fc.array(block, { maxLength: 8 }), (blocks) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder();
        for (const [limits, list] of blocks) {
          if (limits !== undefined) encoder.limitTable(Math.min(...limits), limits[1]);
          const fields = list.flatMap((field) => field.slice(0, 2));
          const out = new Uint8Array(encoder.maxBytes(fields));
          let end = encoder.encodeUpdates(out, 0);
          for (const [key, value, indexing] of list) end = encoder.encode(out, end, key, value, indexing);
          assert.deepEqual(decode(decoder, out.subarray(0, end)), fields);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("spend one byte on a field that was indexed before", () => {
    const encoder = new HpackEncoder();
    const out = new Uint8Array(100);
    encoder.encode(out, 0, "content-type", "application/grpc", "index");
    const before = encoder.generation;
    assert.equal(encoder.encode(out, 0, "content-type", "application/grpc", "index"), 1);
    assert.equal(encoder.generation, before);
  });

  it("write a secret as never to be indexed", () => {
    const out = new Uint8Array(100);
    const encoder = new HpackEncoder();
    encoder.encode(out, 0, "authorization", "x", "never");
    assert.equal((out[0] as number) & 0xf0, 0x10);
  });

  it("use a table of no size when the peer wants none", () => {
    const encoder = new HpackEncoder();
    encoder.limitTable(0, 0);
    const out = new Uint8Array(100);
    let end = encoder.encodeUpdates(out, 0);
    assert.deepEqual([...out.subarray(0, end)], [0x20]);
    end = encoder.encode(out, 0, "a", "b", "index");
    assert.equal(encoder.encode(out, 0, "a", "b", "index"), end);
    assert.equal(encoder.encodeUpdates(Buffer.alloc(16), 0), 0);
  });
});

describe("the static table", () => {
  it("has the 61 entries of RFC 7541 appendix A", () => {
    assert.equal(staticTable.length, 61);
    assert.deepEqual(staticTable[60], ["www-authenticate", ""]);
    assert.deepEqual(staticTable[7], [":status", "200"]);
  });
});

describe("integers", () => {
  it("are written as in RFC 7541 appendix C.1", () => {
    const out = new Uint8Array(8);
    assert.deepEqual([...out.subarray(0, writeInteger(out, 0, 10, 5, 0))], [0b01010]);
    assert.deepEqual([...out.subarray(0, writeInteger(out, 0, 1337, 5, 0))], [0b11111, 154, 10]);
    assert.deepEqual([...out.subarray(0, writeInteger(out, 0, 42, 8, 0))], [42]);
  });
});
