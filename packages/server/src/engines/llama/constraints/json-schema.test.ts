import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaGrammar } from "./json-schema.ts";
import { acceptedBy, loadGrammarJudge, skipWithout } from "./testing/grammar-judge.ts";

const judge = await loadGrammarJudge();
const skip = skipWithout(judge);

/** Documents are JSON values; texts (for what JSON.stringify would not write) start with "text:". */
interface Case {
  readonly name: string;
  readonly schema: unknown;
  readonly valid: readonly unknown[];
  readonly invalid: readonly unknown[];
}

const PERSON = {
  type: "object",
  properties: {
    name: { type: "string" },
    age: { type: "integer" },
    tags: { type: "array", items: { type: "string" } },
  },
  required: ["name"],
};

const CASES: readonly Case[] = [
  {
    name: "true takes any document",
    schema: true,
    valid: [null, 1, "a", [1, { a: [] }], {}],
    invalid: ["text:", "text:nul"],
  },
  {
    name: "{} takes any document",
    schema: { title: "x", description: "y" },
    valid: [null, [true]],
    invalid: ["text:a"],
  },
  { name: "simple types", schema: { type: ["null", "boolean"] }, valid: [null, true, false], invalid: [0, "true", []] },
  { name: "any object", schema: { type: "object" }, valid: [{}, { a: { b: [1] } }], invalid: [[], 1] },
  { name: "any array", schema: { type: "array" }, valid: [[], [1, [2], {}]], invalid: [{}, 1] },
  {
    name: "optional properties come in order, in any subset",
    schema: PERSON,
    valid: [
      { name: "x" },
      { name: "x", age: 3 },
      { name: "x", tags: [] },
      { name: "x", age: 3, tags: ["a", "b"] },
      'text:{"name": "x", "age": 3}',
    ],
    invalid: [
      {},
      { age: 3 },
      { name: 1 },
      { name: "x", age: "3" },
      { age: 3, name: "x" },
      { name: "x", other: 1 },
      'text:{"name":"x",}',
      'text:{"name":"x","age":3 }',
      'text:{"name":"x""age":3}',
    ],
  },
  {
    name: "all properties optional",
    schema: { type: "object", properties: { a: { type: "null" }, b: { type: "null" }, c: { type: "null" } } },
    valid: [
      {},
      { a: null },
      { b: null },
      { c: null },
      { a: null, c: null },
      { b: null, c: null },
      { a: null, b: null, c: null },
    ],
    invalid: ["text:{,}", 'text:{,"a":null}', { c: null, a: null }, 'text:{"a":null,"a":null}'],
  },
  {
    name: "optional properties around a required one",
    schema: { type: "object", properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, required: ["b"] },
    valid: [{ b: 2 }, { a: 1, b: 2 }, { b: 2, c: 3 }, { a: 1, b: 2, c: 3 }],
    invalid: [{}, { a: 1 }, { a: 1, c: 3 }, 'text:{"b":2"c":3}'],
  },
  {
    name: "additional properties of any value",
    schema: { ...PERSON, additionalProperties: true },
    valid: [{ name: "x" }, { name: "x", other: [1] }, { name: "x", age: 1, nam: 1, names: 2, "": 3 }],
    invalid: [{}, { other: 1 }, 'text:{"name":"x","age":1,"age":"x"}', 'text:{"name":"x","\\u0061ge":"x"}'],
  },
  {
    name: "additional properties of a schema",
    schema: { type: "object", additionalProperties: { type: "integer" } },
    valid: [{}, { a: 1 }, { a: 1, b: 2, '"\\\n\u0001é😀': 3 }],
    invalid: [{ a: "x" }, { a: 1, b: null }],
  },
  {
    name: "no properties at all",
    schema: { type: "object", additionalProperties: false },
    valid: [{}],
    invalid: [{ a: 1 }],
  },
  {
    name: "a property that is forbidden",
    schema: { properties: { a: false, b: true } },
    valid: [{}, { b: 1 }],
    invalid: [{ a: 1 }],
  },
  {
    name: "a forbidden property is none of the additional ones",
    schema: { properties: { a: false }, additionalProperties: true },
    valid: [{}, { b: 1 }],
    invalid: [{ a: 1 }],
  },
  {
    name: "a required property without a schema",
    schema: { type: "object", required: ["k"] },
    valid: [{ k: [1] }],
    invalid: [{}],
  },
  {
    name: "keys with quotes, control characters and any script",
    schema: { properties: { 'a"b\\c\n': { const: 1 }, "é😀": { const: 2 } }, required: ['a"b\\c\n', "é😀"] },
    valid: [{ 'a"b\\c\n': 1, "é😀": 2 }],
    invalid: [{ ab: 1, "é😀": 2 }],
  },
  {
    name: "keys that objects have by themselves",
    schema: JSON.parse(
      '{"properties":{"__proto__":{"const":1},"constructor":{"const":2}},"required":["__proto__","toString"]}',
    ),
    valid: ['text:{"__proto__":1,"constructor":2,"toString":3}', 'text:{"__proto__":1,"toString":3}'],
    invalid: [{ constructor: 2, toString: 3 }],
  },
  {
    name: "enum and const of any type, written exactly",
    schema: { enum: ["a", 'q"\n', 1, -2.5, null, true, [1, "x"], { k: { l: [] } }] },
    valid: ["a", 'q"\n', 1, -2.5, null, true, [1, "x"], { k: { l: [] } }],
    invalid: ["b", 2, false, [], {}, "text:1.0"],
  },
  { name: "enum with a type", schema: { type: "string", enum: ["a", 1, "b"] }, valid: ["a", "b"], invalid: [1] },
  { name: "const", schema: { const: { a: 1 } }, valid: [{ a: 1 }], invalid: [{}, { a: 2 }] },
  { name: "const within enum", schema: { const: "a", enum: ["a", "b"], type: "string" }, valid: ["a"], invalid: ["b"] },
  {
    name: "minItems and maxItems",
    schema: { items: { type: "integer" }, minItems: 2, maxItems: 3 },
    valid: [
      [1, 2],
      [1, 2, 3],
    ],
    invalid: [[], [1], [1, 2, 3, 4], ["a", "b"]],
  },
  { name: "maxItems alone", schema: { type: "array", maxItems: 1 }, valid: [[], [1]], invalid: [[1, 2]] },
  { name: "maxItems 0", schema: { type: "array", maxItems: 0 }, valid: [[]], invalid: [[1]] },
  { name: "items false", schema: { type: "array", items: false }, valid: [[]], invalid: [[1]] },
  {
    name: "prefixItems and items",
    schema: { prefixItems: [{ type: "string" }, { type: "integer" }], items: { type: "null" } },
    valid: [[], ["a"], ["a", 1], ["a", 1, null, null]],
    invalid: [[1], ["a", "b"], ["a", 1, 2]],
  },
  {
    name: "a tuple",
    schema: { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }], minItems: 2, maxItems: 2 },
    valid: [["a", 1]],
    invalid: [[], ["a"], ["a", 1, 2]],
  },
  {
    name: "a tuple of earlier drafts",
    schema: { items: [{ const: 1 }, { const: 2 }], additionalItems: false, minItems: 1 },
    valid: [[1], [1, 2]],
    invalid: [[], [1, 2, 3]],
  },
  {
    name: "minItems beyond prefixItems",
    schema: { prefixItems: [{ const: 1 }], items: { const: 2 }, minItems: 3, maxItems: 4 },
    valid: [
      [1, 2, 2],
      [1, 2, 2, 2],
    ],
    invalid: [
      [1, 2],
      [1, 2, 2, 2, 2],
    ],
  },
  {
    name: "maxItems below prefixItems",
    schema: { prefixItems: [{ const: 1 }, { const: 2 }], maxItems: 1 },
    valid: [[], [1]],
    invalid: [[1, 2]],
  },
  {
    name: "length of strings in characters",
    schema: { type: "string", minLength: 2, maxLength: 3 },
    valid: ["ab", "é😀", 'a"\n', 'text:"\\u0041\\ud83d\\ude00"'],
    invalid: ["", "a", "abcd", 'text:"\\ud83d\\ude00"'],
  },
  {
    name: "strings are escaped",
    schema: { type: "string" },
    valid: ["", 'a\n\t"\\\b\f\r\u0001\u001f\u007f\u2028é😀/'],
    invalid: ['text:"a', 'text:"\n"', 'text:"\\x"', 'text:"\\ud800"', 'text:"""'],
  },
  {
    name: "pattern matches the whole string",
    schema: { type: "string", pattern: "^[A-Z]{2}-\\d+$" },
    valid: ["AB-1", "XY-123"],
    invalid: ["AB-", "ab-1", "AB-1x", "xAB-1"],
  },
  {
    name: "pattern sees the decoded text",
    schema: { type: "string", pattern: 'a.b["\\n\\x01]c\\\\' },
    valid: ['axb"c\\', 'a"b\nc\\', "a\\b\u0001c\\"],
    invalid: ["axbxc\\", 'a\nb"c\\'],
  },
  {
    name: "pattern with a length",
    schema: { type: "string", pattern: "(ab)*c?", minLength: 3, maxLength: 4 },
    valid: ["abc", "abab"],
    invalid: ["ab", "ababc", "c", ""],
  },
  {
    name: "anyOf",
    schema: { anyOf: [{ type: "string" }, { type: "integer" }, { type: "null" }, false] },
    valid: ["a", 1, null],
    invalid: [1.5, [], true],
  },
  {
    name: "oneOf is read as anyOf",
    schema: { oneOf: [{ type: "integer" }, { type: "number" }] },
    valid: [1, 1.5],
    invalid: ["a"],
  },
  {
    name: "anyOf with what all alternatives share",
    schema: {
      type: "object",
      properties: { kind: { enum: ["a", "b"] } },
      required: ["kind"],
      anyOf: [
        { properties: { x: { type: "integer" } }, required: ["x"] },
        { properties: { y: { type: "string" } }, required: ["y"] },
      ],
    },
    valid: [
      { kind: "a", x: 1 },
      { kind: "b", y: "s" },
    ],
    invalid: [{ kind: "a" }, { x: 1 }, { kind: "c", x: 1 }],
  },
  {
    name: "allOf with one schema",
    schema: { allOf: [{ $ref: "#/$defs/a" }], $defs: { a: { const: 1 } } },
    valid: [1],
    invalid: [2],
  },
  {
    name: "allOf merges objects",
    schema: {
      allOf: [
        { $ref: "#/$defs/a" },
        { properties: { b: { type: "integer", maximum: 5 }, c: { const: 3 } }, required: ["c"] },
      ],
      $defs: { a: { type: "object", properties: { a: { const: 1 }, b: { minimum: 4 } }, required: ["a"] } },
    },
    valid: [
      { a: 1, c: 3 },
      { a: 1, b: 4, c: 3 },
      { a: 1, b: 5, c: 3 },
    ],
    invalid: [{ a: 1 }, { a: 1, b: 6, c: 3 }, { a: 1, b: 3, c: 3 }],
  },
  {
    name: "allOf narrows",
    schema: {
      allOf: [
        { type: ["integer", "string"] },
        { type: ["number", "null"], minimum: 3 },
        { maximum: 4 },
        { enum: [3, 4, "a"] },
        true,
      ].slice(0, 3),
    },
    valid: [3, 4],
    invalid: [2, 5, "a", null, 3.5],
  },
  {
    name: "allOf with enums",
    schema: { allOf: [{ enum: ["a", "b", "c"] }, { enum: ["b", "c", "d"] }, { const: "c" }] },
    valid: ["c"],
    invalid: ["b", "a"],
  },
  {
    name: "allOf with a closed object",
    schema: {
      allOf: [
        { properties: { a: { const: 1 } }, additionalProperties: false },
        { properties: { a: true, b: { const: 2 } } },
      ],
    },
    valid: [{}, { a: 1 }],
    invalid: [{ b: 2 }, { a: 2 }],
  },
  {
    name: "$ref beside other keywords",
    schema: { $defs: { n: { type: "integer" } }, $ref: "#/$defs/n", minimum: 5 },
    valid: [5],
    invalid: [4, "x"],
  },
  {
    name: "$ref into any place",
    schema: {
      properties: { a: { type: "integer" }, b: { $ref: "#/properties/a" }, c: { $ref: "#/$defs/x~1y%20~0" } },
      $defs: { "x/y ~": { const: 1 } },
    },
    valid: [{ a: 1, b: 2, c: 1 }],
    invalid: [{ b: "x" }, { c: 2 }],
  },
  {
    name: "definitions of earlier drafts",
    schema: { definitions: { d: { const: 1 } }, items: { $ref: "#/definitions/d" } },
    valid: [[1, 1]],
    invalid: [[2]],
  },
  {
    name: "recursion",
    schema: {
      $ref: "#/$defs/node",
      $defs: {
        node: {
          type: "object",
          properties: { v: { type: "integer" }, children: { type: "array", items: { $ref: "#/$defs/node" } } },
          required: ["v"],
          additionalProperties: false,
        },
      },
    },
    valid: [{ v: 1 }, { v: 1, children: [] }, { v: 1, children: [{ v: 2, children: [{ v: 3 }] }, { v: 4 }] }],
    invalid: [{}, { v: 1, children: [{}] }, { v: 1, children: [1] }],
  },
  {
    name: "recursion through the root",
    schema: { anyOf: [{ type: "null" }, { type: "array", items: { $ref: "#" }, maxItems: 2 }] },
    valid: [null, [], [[null], [[], null]]],
    invalid: [[1], [[], [], []]],
  },
  {
    name: "recursion beside other keywords",
    schema: { $defs: { d: { properties: { x: { $ref: "#/$defs/d", required: ["x"] } } } }, $ref: "#/$defs/d" },
    valid: [{}],
    invalid: [{ x: {} }],
  },
  {
    name: "keywords that say nothing here",
    schema: {
      type: "array",
      uniqueItems: false,
      minContains: 1,
      items: { type: "integer", multipleOf: 1 },
      unevaluatedItems: true,
    },
    valid: [[1, 1]],
    invalid: [["a"]],
  },
  {
    name: "unknown keywords are annotations",
    schema: {
      type: "string",
      "x-order": 3,
      discriminator: {},
      deprecated: true,
      default: 3,
      examples: [1],
      $comment: "c",
      $id: "urn:x",
      contentMediaType: "a/b",
    },
    valid: ["a"],
    invalid: [3],
  },
  {
    name: "unevaluatedProperties false",
    schema: { type: "object", properties: { a: { const: 1 } }, unevaluatedProperties: false },
    valid: [{}, { a: 1 }],
    invalid: [{ b: 1 }],
  },
  {
    name: "property counts that say nothing",
    schema: { type: "object", properties: { a: true, b: true }, required: ["a"], minProperties: 1, maxProperties: 2 },
    valid: [{ a: 1 }],
    invalid: [{}],
  },
  {
    name: "an unknown format is an annotation",
    schema: { type: "string", format: "color" },
    valid: ["x"],
    invalid: [1],
  },
  {
    name: "a format with a length",
    schema: { type: "string", format: "email", maxLength: 7 },
    valid: ["a@b.co"],
    invalid: ["aa@bb.co", "a"],
  },
  {
    name: "a pattern stands for the format beside it",
    schema: { type: "string", format: "date", pattern: "\\d+" },
    valid: ["12"],
    invalid: ["2024-01-01"],
  },
  {
    name: "types implied by keywords",
    schema: { minLength: 1, minimum: 3 },
    valid: ["a", 3, 3.5],
    invalid: ["", 2, null, []],
  },
];

function documentText(document: unknown): string {
  return typeof document === "string" && document.startsWith("text:") ? document.slice(5) : JSON.stringify(document);
}

for (const { name, schema, valid, invalid } of CASES) {
  test(`${name}`, { skip }, () => {
    const accepts = acceptedBy(judge, { kind: "json-schema", source: JSON.stringify(schema) });
    for (const document of valid) assert.equal(accepts(documentText(document)), true, documentText(document));
    for (const document of invalid) assert.equal(accepts(documentText(document)), false, documentText(document));
  });
}

const FORMATS: readonly (readonly [format: string, valid: string[], invalid: string[]])[] = [
  [
    "date",
    ["2024-02-29", "2000-02-29", "1999-12-31", "2023-04-30"],
    ["2023-02-29", "1900-02-29", "2023-04-31", "2023-13-01", "2023-00-10", "2023-1-1", ""],
  ],
  ["time", ["23:59:59Z", "00:00:00.123+05:30"], ["24:00:00Z", "12:60:00Z", "12:00Z", "12:00:00"]],
  [
    "date-time",
    ["2024-02-29T12:00:00Z", "2023-01-01T00:00:00.5-08:00"],
    ["2023-02-29T12:00:00Z", "2023-01-01", "2023-01-01 00:00:00Z"],
  ],
  ["duration", ["P1D", "PT1H30M", "P1Y2M3DT4H5M6S", "P3W"], ["P", "PT", "1D", "P1H", "P1Y1D"]],
  [
    "uuid",
    ["123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"],
    ["123e4567e89b12d3a456426614174000", "g23e4567-e89b-12d3-a456-426614174000"],
  ],
  ["ipv4", ["0.0.0.0", "255.255.255.255", "192.168.1.10"], ["256.1.1.1", "1.1.1", "01.1.1.1"]],
  [
    "ipv6",
    ["::", "::1", "2001:db8::8a2e:370:7334", "1:2:3:4:5:6:7:8", "1::"],
    [":::", "1:2:3:4:5:6:7", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9"],
  ],
  ["hostname", ["a", "example.com", "a-b.c1"], ["", "-a", "a-", "a..b", `${"a".repeat(64)}`]],
  ["email", ["a@b.co", "first.last+tag@sub.example.com"], ["a", "a@", "@b", "a..b@c", "a b@c"]],
  [
    "uri",
    ["https://example.com", "http://a.b:8080/c/d?e=f#g", "x://h/%20"],
    ["example.com", "http://", "http://a b", "http://a/%2"],
  ],
];

for (const [format, valid, invalid] of FORMATS) {
  test(`the format ${format} is enforced`, { skip }, () => {
    const accepts = acceptedBy(judge, { kind: "json-schema", source: JSON.stringify({ type: "string", format }) });
    for (const text of valid) assert.equal(accepts(JSON.stringify(text)), true, text);
    for (const text of invalid) assert.equal(accepts(JSON.stringify(text)), false, text);
  });
}

const REFUSED: readonly (readonly [schema: unknown, message: RegExp])[] = [
  [3, /at #: 3 is not a schema/],
  [false, /at #: the schema false allows no document/],
  [{ type: "text" }, /at #: "type" is "text", and must be one of null, boolean/],
  [{ type: [] }, /"type" is an empty list/],
  [{ properties: { a: { items: 3 } } }, /at #\/properties\/a\/items: 3 is not a schema/],
  [{ properties: [] }, /"properties" is \[\], and must be an object/],
  [{ required: "a" }, /"required" is "a", and must be a list of strings/],
  [{ properties: { "a/b": { not: {} } } }, /at #\/properties\/a~1b: the keyword "not" is not supported/],
  [JSON.parse('{"if":{},"then":{}}'), /the keyword "if" is not supported/],
  [{ patternProperties: { a: {} } }, /"patternProperties" is not supported/],
  [{ propertyNames: { pattern: "a" } }, /"propertyNames" is not supported/],
  [{ dependentRequired: { a: ["b"] } }, /"dependentRequired" is not supported/],
  [{ contains: {} }, /"contains" is not supported/],
  [{ uniqueItems: true }, /"uniqueItems" is not supported/],
  [{ unevaluatedProperties: {} }, /"unevaluatedProperties" is not supported/],
  [{ $dynamicRef: "#x" }, /"\$dynamicRef" is not supported/],
  [{ type: "object", minProperties: 1 }, /"minProperties" above the number of required properties/],
  [{ type: "object", maxProperties: 1 }, /"maxProperties" below/],
  [{ minLength: -1 }, /"minLength" is -1, and must be an integer of 0 or more/],
  [{ minLength: 1_000_000 }, /"minLength" is above 100000/],
  [{ minLength: 3, maxLength: 2 }, /"maxLength" is below "minLength"/],
  [{ minItems: 2, items: false }, /"minItems" is 2, and only 0 items are allowed/],
  [{ pattern: "(?=a)" }, /at #\/pattern: has lookahead at offset 0/],
  [{ pattern: "aa", maxLength: 1 }, /at #\/pattern: matches no text/],
  [{ enum: [] }, /none of the values/],
  [{ enum: "a" }, /"enum" is "a", and must be a list/],
  [{ enum: ["a"], minLength: 2 }, /"minLength" beside "enum"/],
  [{ const: 2 ** 60 }, /not exact/],
  [{ type: "string", const: 1 }, /none of the values/],
  [{ $ref: "http://x/y" }, /only references within the schema/],
  [{ $ref: "#anchor" }, /only references within the schema/],
  [{ $ref: "#/$defs/x" }, /"\$ref" is "#\/\$defs\/x", and there is nothing/],
  [{ $ref: "#/constructor" }, /there is nothing/],
  [{ anyOf: [] }, /is not a list of schemas/],
  [{ anyOf: [false] }, /"anyOf" allows no document/],
  [{ allOf: [{ type: "string" }, { type: "integer" }] }, /exclude one another/],
  [{ allOf: [{ pattern: "a" }, { pattern: "b" }] }, /two schemas with "pattern" cannot be combined/],
  [{ properties: { a: false }, required: ["a"] }, /"a" is required and not allowed/],
  [{ required: ["a"], additionalProperties: false }, /"a" is required and not allowed/],
];

for (const [schema, message] of REFUSED) {
  test(`${JSON.stringify(schema)} is refused`, () => {
    assert.throws(() => schemaGrammar(JSON.stringify(schema)), message);
  });
}

test("a schema that no finite document satisfies, or that comes back to itself, is refused by the check of the grammar", () => {
  const convert = (schema: unknown): boolean =>
    acceptedBy(judge, { kind: "json-schema", source: JSON.stringify(schema) })("");
  assert.throws(() => convert({ $ref: "#" }), /never comes to an end|left recursion/);
  assert.throws(() => convert({ properties: { a: { $ref: "#" } }, required: ["a"] }), /never comes to an end/);
  const sum = (sign: string): unknown => ({
    properties: { left: { $ref: "#" }, sign: { const: sign } },
    required: ["left", "sign"],
  });
  assert.throws(
    () => convert({ anyOf: [sum("+"), sum("-"), { type: "integer" }] }),
    /ways to go on open at the same time/,
  );
});
