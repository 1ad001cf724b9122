import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { StopText } from "./stop-text.ts";

test("the text before a stop text is printed, the rest is not", () => {
  const stop = new StopText(["END"]);
  assert.equal(stop.push("one E"), "one ");
  assert.equal(stop.push("N"), "");
  assert.equal(stop.push("TER"), "ENTER");
  assert.equal(stop.push(" two EN"), " two ");
  assert.equal(stop.stopped, false);
  assert.equal(stop.push("D three"), "");
  assert.equal(stop.stopped, true);
  assert.equal(stop.push("more"), "");
  assert.equal(stop.end(), "");
});

test("what looked like the beginning of a stop text is printed at the end", () => {
  const stop = new StopText(["END"]);
  assert.equal(stop.push("the EN"), "the ");
  assert.equal(stop.end(), "EN");
});

test("in whatever pieces it comes, the text is cut where the earliest stop text begins that was complete first", () => {
  const letters = (maxLength: number, minLength = 0): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom("a", "b", "c"), { minLength, maxLength }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.array(letters(4), { maxLength: 10 }), fc.array(letters(3, 1), { maxLength: 2 }), (pieces, stops) => {
      const stop = new StopText(stops);
      let printed = "";
      for (const piece of pieces) {
        printed += stop.push(piece);
        assert.ok(stops.every((text) => !printed.includes(text)));
      }
      printed += stop.end();
      const whole = pieces.join("");
      assert.ok(whole.startsWith(printed));
      assert.equal(
        stop.stopped,
        stops.some((text) => whole.includes(text)),
      );
      if (!stop.stopped) assert.equal(printed, whole);
    }),
  );
});
