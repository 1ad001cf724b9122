import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { acceptsGzip, deflate, inflate } from "./compression.ts";
import { MessageError, MessageReader } from "./message-reader.ts";
import { OutputWriter } from "./message-writer.ts";
import { appendMetadata, FieldMetadata, metadataFields } from "./metadata.ts";
import { percentEncode } from "./percent-encoding.ts";
import { parseTimeoutMs } from "./timeout.ts";

const framed = (flag: number, bytes: Uint8Array): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
};

describe("grpc-message", () => {
  it("is percent-encoded UTF-8 that a client can decode", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
        const encoded = percentEncode(text);
        assert.match(encoded, /^[ -~]*$/);
        assert.equal(decodeURIComponent(encoded), text);
      }),
    );
    assert.equal(percentEncode("100 % größer\n"), "100 %25 gr%C3%B6%C3%9Fer%0A");
  });

  it("replaces lone surrogates and is cut between two characters when it is too long", () => {
    assert.equal(percentEncode("a\ud800b"), "a%EF%BF%BDb");
    for (const text of ["x".repeat(5_000), "ß".repeat(5_000), "🙂".repeat(5_000)]) {
      const encoded = percentEncode(text);
      assert.ok(encoded.length <= 4_096);
      assert.ok(decodeURIComponent(encoded).endsWith("…"));
    }
  });
});

describe("grpc-timeout", () => {
  it("is at most eight digits and a unit", () => {
    const good = { "1H": 3_600_000, "2M": 120_000, "3S": 3_000, "4m": 4, "5u": 0.005, "6n": 0.000006, "0S": 0 };
    for (const [value, ms] of Object.entries(good)) assert.ok(Math.abs((parseTimeoutMs(value) ?? -1) - ms) < 1e-9);
    assert.equal(parseTimeoutMs("99999999H"), 99_999_999 * 3_600_000);
    for (const value of ["", "1", "S", "-1S", "1.5S", "123456789S", "1s", "1 S", "1Sx"]) {
      assert.equal(parseTimeoutMs(value), undefined, value);
    }
  });
});

describe("metadata", () => {
  it("gives bytes of any kind back, padded and not, joined and not", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1 }), fc.boolean(), (values, padded) => {
        const sent = values.map((bytes) => {
          const text = Buffer.from(bytes).toString("base64");
          return padded ? text : text.replace(/=+$/, "");
        });
        const read = new FieldMetadata(["x-bin", sent.join(","), "other", "1"]).getBinary("x-bin");
        assert.deepEqual(
          read.map((bytes) => [...bytes]),
          values.map((bytes) => [...bytes]),
        );
      }),
    );
  });

  it("is written unpadded, and texts without what a field cannot carry", () => {
    const fields = metadataFields({ "a-bin": Buffer.from([1]), b: " größe\n", c: ["1", "2"] });
    assert.deepEqual(fields, ["a-bin", "AQ", "b", "gr??e?", "c", "1", "c", "2"]);
  });

  it("refuses keys that are not its own to set, bytes under text keys and text under byte keys", () => {
    const keys = ["", "Upper", "grpc-status", "content-type", "te", ":path", "ünicode", "a b"];
    for (const key of keys) assert.throws(() => appendMetadata([], key, "x"), TypeError, key);
    assert.throws(() => appendMetadata([], "a", Buffer.from("x")), TypeError);
    assert.throws(() => appendMetadata([], "a-bin", "x"), TypeError);
  });
});

describe("a message reader", () => {
  it("gives every message back, however the bytes are cut", () => {
    const message = fc.record({ flag: fc.constantFrom(0, 1), bytes: fc.uint8Array({ maxLength: 3_000 }) });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.integer({ min: 1, max: 4_000 }), (messages, cut) => {
        const bytes = Buffer.concat(messages.map(({ flag, bytes }) => framed(flag, bytes)));
        const reader = new MessageReader(10_000);
        const read: { readonly compressed: boolean; readonly bytes: Uint8Array }[] = [];
        for (let at = 0; at < bytes.length; at += cut) {
          // A copy that is spoilt afterwards: what was read must not change with it, what is unread must be held.
          const piece = Uint8Array.from(bytes.subarray(at, at + cut));
          reader.feed(piece, 0, piece.length);
          for (let next = reader.next(); next !== undefined; next = reader.next()) {
            read.push({ compressed: next.compressed, bytes: Uint8Array.from(next.bytes) });
          }
          reader.hold();
          piece.fill(0xee);
          assert.ok(reader.heldBytes <= Math.max(1_024, 2 * (reader.unreadBytes + cut), 4 * 3_005));
        }
        assert.equal(reader.unreadBytes, 0);
        assert.deepEqual(
          read.map(({ compressed, bytes }) => [compressed, ...bytes]),
          messages.map(({ flag, bytes }) => [flag === 1, ...bytes]),
        );
      }),
      { numRuns: 200 },
    );
  });

  it("holds what came and not what a prefix promises", () => {
    const reader = new MessageReader(2 ** 31);
    const promise = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3]);
    reader.feed(promise, 0, promise.length);
    assert.equal(reader.next(), undefined);
    reader.hold();
    assert.equal(reader.heldBytes, 1_024);
  });

  it("refuses a message above the bound at its prefix, and a prefix that is none", () => {
    const large = new MessageReader(10);
    large.feed(Buffer.from([0, 0, 0, 0, 11]), 0, 5);
    assert.throws(() => large.next(), { name: "MessageError", kind: "too-large" });
    const strange = new MessageReader(10);
    strange.feed(Buffer.from([2, 0, 0, 0, 0]), 0, 5);
    assert.throws(() => strange.next(), { name: "MessageError", kind: "malformed" });
  });
});

describe("a message writer", () => {
  it("keeps what was written when it has to move", () => {
    const writer = new OutputWriter();
    writer.open(new Uint8Array(8), 4);
    for (let n = 0; n < 5_000; n += 1) {
      writer.reserve(1);
      writer.bytes[writer.at] = n & 255;
      writer.at += 1;
    }
    assert.equal(writer.inPlace, false);
    assert.equal(writer.length, 5_000);
    assert.ok(writer.written.every((byte, at) => byte === (at & 255)));
  });
});

describe("compression", () => {
  it("gives texts back, at once when they are small", async () => {
    const small = inflate(deflate(Buffer.from("text")), 100);
    assert.ok(small instanceof Uint8Array);
    assert.equal(Buffer.from(small).toString(), "text");
    const text = Array.from({ length: 5_000 }, (_, n) => `${n * n}`).join();
    assert.equal(Buffer.from(await inflate(deflate(Buffer.from(text)), 1e6)).toString(), text);
  });

  it("stops at the bound (a zip bomb), and refuses what is no gzip", async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    await assert.rejects(async () => inflate(bomb, 1_000_000), { name: "MessageError", kind: "too-large" });
    assert.throws(() => inflate(gzipSync(Buffer.alloc(1_000)), 999), { kind: "too-large" });
    assert.throws(() => inflate(Buffer.from("nonsense"), 100), MessageError);
    await assert.rejects(async () => inflate(Buffer.alloc(1_000, 7), 100), { kind: "malformed" });
  });

  it("works on four large messages at a time, and passes over those that are not wanted at their turn", async () => {
    const bytes = gzipSync(randomBytes(20_000));
    let running = 0;
    let most = 0;
    const results = Array.from({ length: 30 }, async (_, n) => {
      const begin = () => {
        if (n % 3 === 2) throw new Error("not wanted");
        running += 1;
        most = Math.max(most, running);
      };
      const inflated = await inflate(bytes, 1e6, begin);
      running -= 1;
      return inflated.length;
    });
    const settled = await Promise.allSettled(results);
    assert.deepEqual([most, running], [4, 0]);
    assert.deepEqual(
      settled.map((result) => (result.status === "fulfilled" ? result.value : "refused")),
      settled.map((_, n) => (n % 3 === 2 ? "refused" : 20_000)),
    );
  });

  it("is used when the client names gzip", () => {
    assert.deepEqual(["gzip", "identity, gzip", "deflate", ""].map(acceptsGzip), [true, true, false, false]);
  });
});
