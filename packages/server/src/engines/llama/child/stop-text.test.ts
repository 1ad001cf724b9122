import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { StopText } from "./stop-text.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("StopText", () => {
  it("finds a stop string that lies over several tokens", () => {
    const stop = new StopText(["END"]);
    assert.equal(stop.push(bytes("the E")), undefined);
    assert.equal(stop.push(bytes("N")), undefined);
    assert.equal(stop.push(bytes("D.")), "END");
  });

  it("puts characters together that are split over tokens", () => {
    const stop = new StopText(["né"]);
    const [n, first, second] = bytes("né");
    assert.equal(stop.push(Uint8Array.of(n ?? 0, first ?? 0)), undefined);
    assert.equal(stop.push(Uint8Array.of(second ?? 0)), "né");
  });

  it("answers the stop string that begins first", () => {
    assert.equal(new StopText(["b", "ab"]).push(bytes("xab")), "ab");
  });

  it("finds exactly what is in the whole text, however the text is cut", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "é", "🙂"), maxLength: 30 });
    fc.assert(
      fc.property(
        text,
        fc.string({ unit: fc.constantFrom("a", "b", "é", "🙂"), minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 5 }),
        (whole, stop, size) => {
          const watch = new StopText([stop]);
          const all = bytes(whole);
          let found = false;
          for (let at = 0; at < all.length && !found; at += size)
            found = watch.push(all.subarray(at, at + size)) !== undefined;
          assert.equal(found, whole.includes(stop));
        },
      ),
    );
  });
});
