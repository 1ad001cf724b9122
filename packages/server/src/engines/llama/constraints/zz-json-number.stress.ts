import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { schemaGrammar } from "./json-schema.ts";
import { acceptedBy, loadGrammarJudge, skipWithout } from "./testing/grammar-judge.ts";

const judge = await loadGrammarJudge();
const skip = skipWithout(judge);

function accepting(schema: unknown): (text: string) => boolean {
  return acceptedBy(judge, { kind: "json-schema", source: JSON.stringify(schema) });
}

test("integers without limits have no point, no exponent and no zeros in front", { skip }, () => {
  const accepts = accepting({ type: "integer" });
  for (const text of ["0", "7", "-1", "123456789012345678901"]) assert.equal(accepts(text), true, text);
  for (const text of ["", "-", "-0", "01", "1.0", "1e3", "+1", "1234567890123456789012"])
    assert.equal(accepts(text), false, text);
});

test("numbers without limits are those of JSON", { skip }, () => {
  const accepts = accepting({ type: "number" });
  for (const value of [
    0, -0.5, 1e21, 1.7976931348623157e308, 5e-324, 0.30000000000000004, 1e-7, 123456789012345680000,
  ]) {
    assert.equal(accepts(JSON.stringify(value)), true, JSON.stringify(value));
  }
  for (const text of ["", ".5", "1.", "01", "1e", "0x1", "NaN", "1.e3"]) assert.equal(accepts(text), false, text);
});

const smallInteger = fc.integer({ min: -1200, max: 1200 });

test("integer limits are exact", { skip }, () => {
  fc.assert(
    fc.property(smallInteger, fc.nat(1500), fc.boolean(), fc.boolean(), (low, width, lowOpen, highOpen) => {
      const high = low + width + (lowOpen ? 1 : 0) + (highOpen ? 1 : 0);
      const accepts = accepting({
        type: "integer",
        [lowOpen ? "exclusiveMinimum" : "minimum"]: low,
        [highOpen ? "exclusiveMaximum" : "maximum"]: high,
      });
      for (const at of [low, high, 0, -low, Math.trunc(low / 10), low * 10, (low + high) >> 1]) {
        for (const value of [at - 1, at, at + 1]) {
          const inside = (lowOpen ? value > low : value >= low) && (highOpen ? value < high : value <= high);
          assert.equal(accepts(JSON.stringify(value)), inside, `${value} in ${low}..${high}`);
        }
      }
    }),
    { numRuns: 4000 },
  );
});

test("one-sided, fractional and large integer limits are exact", { skip }, () => {
  const cases: readonly (readonly [schema: object, inside: string[], outside: string[]])[] = [
    [{ minimum: 10 }, ["10", "11", "99", "100", "123456789012345678901"], ["9", "0", "-10", "1"]],
    [{ maximum: -3 }, ["-3", "-4", "-10", "-123456789"], ["-2", "0", "3"]],
    [{ maximum: 0 }, ["0", "-1"], ["1", "-0"]],
    [{ exclusiveMinimum: 0 }, ["1", "10"], ["0", "-1"]],
    [{ minimum: 1.5, maximum: 3.5 }, ["2", "3"], ["1", "4"]],
    [{ minimum: -1.5, exclusiveMaximum: 1.5 }, ["-1", "0", "1"], ["-2", "2"]],
    [{ minimum: 5, exclusiveMinimum: 5 }, ["6"], ["5"]],
    [
      { minimum: -9007199254740991, maximum: 9007199254740991 },
      ["9007199254740991", "-9007199254740991"],
      ["9007199254740992"],
    ],
    [{ minimum: -1e30, maximum: 1e30 }, ["0", "-5"], ["x"]],
    // 2^63 - 1 is read as 2^63 by JSON.parse.
    [{ minimum: 0, maximum: 2 ** 63 }, ["9223372036854770000"], ["9223372036854775808"]],
  ];
  for (const [limits, inside, outside] of cases) {
    const accepts = accepting({ type: "integer", ...limits });
    for (const text of inside) assert.equal(accepts(text), true, `${text} in ${JSON.stringify(limits)}`);
    for (const text of outside) assert.equal(accepts(text), false, `${text} in ${JSON.stringify(limits)}`);
  }
});

const decimalNumber = fc
  .tuple(fc.integer({ min: -3000, max: 3000 }), fc.constantFrom(1, 10, 100, 1000))
  .map(([digits, scale]) => digits / scale);

test("number limits are exact in decimal notation", { skip }, () => {
  fc.assert(
    fc.property(
      decimalNumber,
      decimalNumber,
      fc.boolean(),
      fc.boolean(),
      fc.array(decimalNumber, { maxLength: 8 }),
      (a, b, lowOpen, highOpen, others) => {
        fc.pre(a !== b);
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const accepts = accepting({
          type: "number",
          [lowOpen ? "exclusiveMinimum" : "minimum"]: low,
          [highOpen ? "exclusiveMaximum" : "maximum"]: high,
        });
        for (const value of [low, high, low - 0.001, low + 0.001, high - 0.001, high + 0.001, 0, -low, ...others]) {
          const text = JSON.stringify(Number(value.toFixed(4)));
          const exact = Number(text);
          if (Object.is(exact, -0)) continue;
          const inside = (lowOpen ? exact > low : exact >= low) && (highOpen ? exact < high : exact <= high);
          assert.equal(accepts(text), inside, `${text} in ${low}..${high}`);
          assert.equal(accepts(text.includes(".") ? `${text}00` : `${text}.0`), inside, `${text} with zeros`);
        }
      },
    ),
    { numRuns: 4000 },
  );
});

test("limits that nothing satisfies, or that cannot be written, are refused", () => {
  for (const [schema, message] of [
    [{ type: "integer", minimum: 3, maximum: 2 }, /no integer satisfies/],
    [{ type: "integer", exclusiveMinimum: 3, exclusiveMaximum: 4 }, /no integer satisfies/],
    [{ type: "number", minimum: 3, exclusiveMaximum: 3 }, /no number satisfies/],
    [{ type: "number", minimum: 1e-30 }, /more than 25 digits after the point/],
    [{ type: "number", minimum: 1e40 }, /nothing with 21 digits/],
    [{ type: "number", minimum: "3" }, /"minimum" is "3", and must be a number/],
    [{ type: "number", exclusiveMinimum: true }, /"exclusiveMinimum" is true, and must be a number/],
    [{ type: "number", multipleOf: 0.5 }, /"multipleOf" is not supported/],
  ] as const) {
    assert.throws(() => schemaGrammar(JSON.stringify(schema)), message);
  }
});
