import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { droppedByXgrammar } from "./schema-support.ts";

test("keywords that xgrammar would drop are found with their place", () => {
  const cases: readonly (readonly [schema: unknown, found: string])[] = [
    [{ type: "number", multipleOf: 2 }, "multipleOf in the schema"],
    [{ type: "object", properties: { price: { type: "integer", multipleOf: 5 } } }, "multipleOf in /properties/price"],
    [{ anyOf: [{ type: "array", uniqueItems: true }] }, "uniqueItems in /anyOf/0"],
    [{ type: ["array", "null"], contains: {} }, "contains in the schema"],
    [{ type: "string", format: "colour" }, "format in the schema"],
    [{ type: "string", pattern: "a+", maxLength: 3 }, "a length beside pattern or format in the schema"],
    [
      { type: "object", propertyNames: { pattern: "a", minLength: 1 } },
      "a length beside pattern or format of propertyNames in the schema",
    ],
    [{ type: "object", propertyNames: {}, properties: {} }, "propertyNames beside properties in the schema"],
    [
      { type: "object", propertyNames: {}, unevaluatedProperties: false },
      "propertyNames beside properties in the schema",
    ],
    [{ type: "object", patternProperties: { a: {}, b: {} } }, "patternProperties beside properties in the schema"],
  ];
  for (const [schema, found] of cases) assert.equal(droppedByXgrammar(schema), found);
});

test("schemas that xgrammar enforces pass", () => {
  const schemas = [
    true,
    {},
    {
      type: "object",
      properties: { name: { type: "string", maxLength: 9 }, when: { type: "string", format: "date" } },
    },
    { type: "array", items: { type: "integer", minimum: 1 }, minItems: 1, maxItems: 3 },
    { enum: ["multipleOf", "uniqueItems"] },
    { type: "object", patternProperties: { "^a": { type: "string" } } },
    { type: "object", propertyNames: { pattern: "a" } },
  ];
  for (const schema of schemas) assert.equal(droppedByXgrammar(schema), undefined, JSON.stringify(schema));
});

test("any JSON is looked through, however deep", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => void droppedByXgrammar(value)));
  let deep: unknown = { type: "number", multipleOf: 2 };
  for (let i = 0; i < 100_000; i++) deep = [deep];
  assert.match(droppedByXgrammar(deep) ?? "", /^multipleOf in /);
});
