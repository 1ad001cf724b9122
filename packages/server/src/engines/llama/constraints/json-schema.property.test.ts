import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { acceptedBy, loadGrammarJudge, skipWithout } from "./testing/grammar-judge.ts";

const judge = await loadGrammarJudge();
const skip = skipWithout(judge);

/** A schema with documents that are valid under it, and the question whether another document is. */
interface Sample {
  readonly schema: unknown;
  readonly valid: fc.Arbitrary<unknown>;
  readonly isValid: (document: unknown) => boolean;
}

const KEYS = ["a", "b", "ab", "é", '"q"', "x\n"] as const;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const text = fc.string({ unit: "grapheme", maxLength: 5 });

const scalar: fc.Arbitrary<Sample> = fc.oneof(
  fc.constant<Sample>({ schema: { type: "null" }, valid: fc.constant(null), isValid: (value) => value === null }),
  fc.constant<Sample>({
    schema: { type: "boolean" },
    valid: fc.boolean(),
    isValid: (value) => typeof value === "boolean",
  }),
  fc.constant<Sample>({
    schema: { type: "number" },
    valid: fc.double({ noNaN: true, noDefaultInfinity: true }),
    isValid: (value) => typeof value === "number",
  }),
  fc.tuple(fc.integer({ min: -300, max: 300 }), fc.nat(300)).map(([minimum, width]): Sample => {
    const maximum = minimum + width;
    return {
      schema: { type: "integer", minimum, maximum },
      valid: fc.integer({ min: minimum, max: maximum }),
      isValid: (value) => Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum,
    };
  }),
  fc.tuple(fc.nat(2), fc.nat(3)).map(([minLength, more]): Sample => {
    const isValid = (value: unknown): boolean =>
      typeof value === "string" &&
      Array.from(value).length >= minLength &&
      Array.from(value).length <= minLength + more;
    return { schema: { type: "string", minLength, maxLength: minLength + more }, valid: text.filter(isValid), isValid };
  }),
  fc.uniqueArray(fc.oneof(text, fc.integer(), fc.constant(null)), { minLength: 1, maxLength: 4 }).map(
    (values): Sample => ({
      schema: { enum: values },
      valid: fc.constantFrom(...values),
      isValid: (value) => values.some((one) => one === value),
    }),
  ),
);

const { sample } = fc.letrec<{ sample: Sample }>((tie) => ({
  sample: fc.oneof(
    { depthSize: "small", maxDepth: 3 },
    scalar,
    fc.tuple(tie("sample"), fc.nat(2), fc.nat(2)).map(([item, minItems, more]): Sample => {
      const maxItems = minItems + more;
      return {
        schema: { type: "array", items: item.schema, minItems, maxItems },
        valid: fc.array(item.valid, { minLength: minItems, maxLength: maxItems }),
        isValid: (value) =>
          Array.isArray(value) && value.length >= minItems && value.length <= maxItems && value.every(item.isValid),
      };
    }),
    fc.array(tie("sample"), { minLength: 1, maxLength: 3 }).map(
      (options): Sample => ({
        schema: { anyOf: options.map(({ schema }) => schema) },
        valid: fc.oneof(...options.map(({ valid }) => valid)),
        isValid: (value) => options.some((option) => option.isValid(value)),
      }),
    ),
    fc
      .tuple(
        fc.uniqueArray(fc.tuple(fc.constantFrom(...KEYS), fc.boolean(), tie("sample")), {
          maxLength: 4,
          selector: ([key]) => key,
        }),
        fc.option(tie("sample"), { nil: undefined, freq: 1 }),
      )
      .map(([properties, additional]): Sample => {
        const own = new Map(properties.map(([key, required, { isValid }]) => [key as string, { required, isValid }]));
        return {
          schema: {
            type: "object",
            properties: Object.fromEntries(properties.map(([key, , { schema }]) => [key, schema])),
            required: properties.flatMap(([key, required]) => (required ? [key] : [])),
            additionalProperties: additional?.schema ?? false,
          },
          valid: fc
            .tuple(
              fc.tuple(
                ...properties.map(([key, required, { valid }]) =>
                  fc.tuple(fc.constant(key), required ? fc.constant(true) : fc.boolean(), valid),
                ),
              ),
              additional === undefined
                ? fc.constant([])
                : fc.array(
                    fc.tuple(
                      text.filter((key) => !own.has(key) && !/^\d/.test(key) && key !== "__proto__"),
                      additional.valid,
                    ),
                    { maxLength: 2 },
                  ),
            )
            .map(([pairs, others]) =>
              Object.fromEntries([
                ...pairs.flatMap(([key, used, value]) => (used ? [[key, value] as const] : [])),
                ...others,
              ]),
            ),
          isValid: (value) =>
            isObject(value) &&
            [...own].every(([key, { required, isValid }]) =>
              Object.hasOwn(value, key) ? isValid(value[key]) : !required,
            ) &&
            Object.entries(value).every(([key, item]) => own.has(key) || additional?.isValid(item) === true),
        };
      }),
  ),
}));

const sampleWithDocuments = sample.chain((one) =>
  fc.tuple(fc.constant(one), fc.array(one.valid, { minLength: 1, maxLength: 3 })),
);

test("valid documents are accepted, and what is accepted is valid", { skip }, () => {
  let foreignAccepted = 0;
  fc.assert(
    fc.property(
      sampleWithDocuments,
      sampleWithDocuments,
      fc.jsonValue({ maxDepth: 2 }),
      ([own, documents], [, others], json) => {
        const accepts = acceptedBy(judge, { kind: "json-schema", source: JSON.stringify(own.schema) });
        for (const document of documents) {
          const source = JSON.stringify(document);
          // Control characters are escaped in one way in enum, and NUL is written as an escape everywhere.
          assert.equal(own.isValid(JSON.parse(source)), true, source);
          assert.equal(accepts(source), true, source);
          assert.equal(accepts(`${source} `), false, source);
          assert.equal(accepts(source.slice(0, -1)) && !own.isValid(parsed(source.slice(0, -1))), false, source);
        }
        for (const document of [...others, json]) {
          const source = JSON.stringify(document);
          if (!accepts(source)) continue;
          foreignAccepted++;
          assert.equal(own.isValid(JSON.parse(source)), true, source);
        }
      },
    ),
    { numRuns: 120 },
  );
  assert.ok(foreignAccepted > 0);
});

test("a valid document with one character changed is accepted only where it is still valid", { skip }, () => {
  fc.assert(
    fc.property(
      sampleWithDocuments,
      fc.nat(),
      fc.constantFrom(...'"\\{}[],:0-1eat.\n '),
      fc.boolean(),
      ([own, documents], at, char, insert) => {
        const accepts = acceptedBy(judge, { kind: "json-schema", source: JSON.stringify(own.schema) });
        for (const document of documents) {
          const chars = Array.from(JSON.stringify(document));
          chars.splice(at % chars.length, insert ? 0 : 1, char);
          const source = chars.join("");
          if (accepts(source)) assert.equal(own.isValid(parsed(source)), true, source);
        }
      },
    ),
    { numRuns: 200 },
  );
});

/** The value of a JSON text; undefined, which no schema allows, where it is none. */
function parsed(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
