import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { HpackDecoder } from "../hpack/decoder.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import { KnownRequests } from "./known-requests.ts";
import { readRequestFields } from "./request-fields.ts";

const target = [":method", "POST", ":scheme", "http", ":path", "/a.B/C"];
const request = {
  method: "POST",
  path: "/a",
  scheme: "http",
  authority: "",
  fields: [],
  contentLength: -1,
  note: undefined,
};

suite("known requests", () => {
  test("a block of indices is known while the table stands", () => {
    const known = new KnownRequests();
    const bytes = Uint8Array.of(0, 0x83, 0x86, 0xbe, 0);
    known.keep({ bytes, start: 1, end: 4 }, 7, 100, request);
    assert.equal(known.find(bytes, 1, 4, 7), request);
    assert.equal(known.find(bytes, 1, 4, 8), undefined);
    assert.equal(known.find(bytes, 1, 3, 7), undefined);
    assert.equal(known.find(Uint8Array.of(0x83, 0x86, 0xbf), 0, 3, 7), undefined);
  });

  test("blocks with a literal, long blocks and blocks that unfold to much are not kept", () => {
    const known = new KnownRequests();
    const long = new Uint8Array(49).fill(0x83);
    known.keep({ bytes: long, start: 0, end: 49 }, 1, 100, request);
    known.keep({ bytes: long, start: 0, end: 3 }, 1, 5000, request);
    known.keep({ bytes: Uint8Array.of(0x83, 0x40), start: 0, end: 2 }, 1, 100, request);
    assert.equal(known.find(long, 0, 49, 1), undefined);
    assert.equal(known.find(long, 0, 3, 1), undefined);
    assert.equal(known.find(Uint8Array.of(0x83, 0x40), 0, 2, 1), undefined);
  });

  test("a connection's requests read the same with and without what came before", () => {
    const value = fc.constantFrom("a", "b", "a b", " bad", "bad\n", "trailers");
    const name = fc.constantFrom("x", "te", "y-z", "Bad", "connection", "content-length", "host");
    const more = fc.array(fc.tuple(name, value), { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(more, { maxLength: 12 }), (requests) => {
        const [encoder, decoder, known] = [new HpackEncoder(), new HpackDecoder(), new KnownRequests()];
        let good: readonly string[] = [];
        for (const fields of requests) {
          const out = new Uint8Array(1024);
          const list = [...target, ...fields.flat()];
          let end = 0;
          for (let i = 0; i < list.length; i += 2) {
            end = encoder.encode(out, end, list[i] as string, list[i + 1] as string, "index");
          }
          const expected = readRequestFields(list);
          const found = known.find(out, 0, end, decoder.generation);
          if (found !== undefined) {
            assert.deepEqual(found, expected);
            continue;
          }
          const decoded = decoder.decode(out, 0, end, 16_384);
          const read = readRequestFields(decoded.fields, good);
          assert.deepEqual(read, expected);
          if (read === undefined) continue;
          good = decoded.fields;
          known.keep({ bytes: out, start: 0, end }, decoder.generation, decoded.bytes, read);
        }
      }),
    );
  });
});
