import { ConstraintError } from "./constraint-error.ts";

/** A schema of JSON Schema 2020-12, as parsed from JSON. */
export type Schema = boolean | SchemaObject;
export type SchemaObject = Readonly<Record<string, unknown>>;

const TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"] as const;
export type SchemaType = (typeof TYPES)[number];

/** The type that a keyword speaks about. A schema without `type` has the types of its keywords. */
const TYPE_OF_KEYWORD = {
  properties: "object",
  required: "object",
  additionalProperties: "object",
  unevaluatedProperties: "object",
  minProperties: "object",
  maxProperties: "object",
  items: "array",
  prefixItems: "array",
  additionalItems: "array",
  minItems: "array",
  maxItems: "array",
  minLength: "string",
  maxLength: "string",
  pattern: "string",
  format: "string",
  minimum: "number",
  maximum: "number",
  exclusiveMinimum: "number",
  exclusiveMaximum: "number",
  multipleOf: "number",
} as const satisfies Record<string, SchemaType>;

/** Keywords that combine schemas. */
export const APPLICATORS = ["$ref", "allOf", "anyOf", "oneOf"] as const;

type SaysNothing = (value: unknown, schema: SchemaObject) => boolean;

/** Keywords that change which documents are valid and that are not supported, with the values that say nothing. */
const UNSUPPORTED: readonly (readonly [keyword: string, saysNothing: SaysNothing])[] = [
  ["not", (value) => value === false],
  ["if", (_, schema) => !("then" in schema) && !("else" in schema)],
  ["then", (_, schema) => !("if" in schema)],
  ["else", (_, schema) => !("if" in schema)],
  ["dependentRequired", isEmptyObject],
  ["dependentSchemas", isEmptyObject],
  ["dependencies", isEmptyObject],
  ["patternProperties", isEmptyObject],
  ["propertyNames", isAnything],
  ["unevaluatedProperties", (value) => typeof value === "boolean"],
  ["unevaluatedItems", isAnything],
  ["contains", never],
  ["minContains", (_, schema) => !("contains" in schema)],
  ["maxContains", (_, schema) => !("contains" in schema)],
  ["uniqueItems", (value) => value === false],
  ["multipleOf", (value, schema) => value === 1 && schema.type === "integer"],
  ["$dynamicRef", never],
  ["$recursiveRef", never],
];

/** Refuses what `UNSUPPORTED` lists. Keywords that no draft knows are annotations. `path` is for the message. */
export function refuseUnsupported(schema: SchemaObject, path: string): void {
  for (const [keyword, saysNothing] of UNSUPPORTED) {
    if (!Object.hasOwn(schema, keyword) || saysNothing(schema[keyword], schema)) continue;
    throw new ConstraintError(`at ${path}: the keyword "${keyword}" is not supported`);
  }
}

/** The keywords of a schema that say which documents are valid, without applicators. */
export function assertions(schema: SchemaObject): string[] {
  return Object.keys(schema).filter((key) => key === "type" || key === "enum" || key === "const" || isTyped(key));
}

/** The types that a schema allows; undefined where it allows all and says nothing about any. */
export function typesOf(schema: SchemaObject, path: string): readonly SchemaType[] | undefined {
  const { type } = schema;
  if (type === undefined) {
    const implied = new Set(Object.keys(schema).flatMap((key) => (isTyped(key) ? [TYPE_OF_KEYWORD[key]] : [])));
    return implied.size === 0 ? undefined : [...implied];
  }
  const list: readonly unknown[] = Array.isArray(type) ? type : [type];
  const types = list.map((one) => {
    const known = TYPES.find((name) => name === one);
    if (known === undefined) {
      throw new ConstraintError(
        `at ${path}: "type" is ${shown(one)}, and must be one of ${TYPES.join(", ")} or a list of them`,
      );
    }
    return known;
  });
  if (types.length === 0) throw new ConstraintError(`at ${path}: "type" is an empty list`);
  return types.filter((one, index) => types.indexOf(one) === index && !(one === "integer" && types.includes("number")));
}

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a keyword whose value is a schema. */
export function schemaAt(value: unknown, path: string): Schema {
  if (typeof value === "boolean" || isSchemaObject(value)) return value;
  throw new ConstraintError(`at ${path}: ${shown(value)} is not a schema; an object, true or false is`);
}

/** Reads a keyword whose value is a list of schemas, not empty. */
export function schemaListAt(value: unknown, path: string): readonly Schema[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ConstraintError(`at ${path}: ${shown(value)} is not a list of schemas`);
  }
  return value.map((item: unknown, index) => schemaAt(item, `${path}/${index}`));
}

/** Reads a keyword whose value is a count, 0 or more. */
export function countAt(schema: SchemaObject, keyword: string, path: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new ConstraintError(`at ${path}: "${keyword}" is ${shown(value)}, and must be an integer of 0 or more`);
}

/** Reads a keyword whose value is a number. */
export function numberAt(schema: SchemaObject, keyword: string, path: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new ConstraintError(`at ${path}: "${keyword}" is ${shown(value)}, and must be a number`);
}

/** Reads a keyword whose value is a text. */
export function textAt(schema: SchemaObject, keyword: string, path: string): string | undefined {
  const value = schema[keyword];
  if (value === undefined || typeof value === "string") return value;
  throw new ConstraintError(`at ${path}: "${keyword}" is ${shown(value)}, and must be a string`);
}

/** A value for a message, cut to a readable length. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** One more step of a JSON pointer (RFC 6901). */
export function childPath(path: string, ...keys: readonly (string | number)[]): string {
  return [path, ...keys.map((key) => String(key).replaceAll("~", "~0").replaceAll("/", "~1"))].join("/");
}

function isTyped(key: string): key is keyof typeof TYPE_OF_KEYWORD {
  return Object.hasOwn(TYPE_OF_KEYWORD, key);
}

function isEmptyObject(value: unknown): boolean {
  return isSchemaObject(value) && Object.keys(value).length === 0;
}

function isAnything(value: unknown): boolean {
  return value === true || isEmptyObject(value);
}

function never(): boolean {
  return false;
}
