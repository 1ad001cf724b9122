import { ConstraintError } from "./constraint-error.ts";
import { isSchemaObject, type Schema, type SchemaObject, schemaAt, typesOf } from "./schema-keywords.ts";

/** Makes the schema that both schemas allow, as one object each time for the same two, so that recursion comes to an end. */
type Both = (left: Schema, right: Schema) => Schema;

const LARGEST_WINS = ["minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum"];
const SMALLEST_WINS = ["maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum"];
const ONE_ONLY = ["pattern", "format", "additionalItems"];

/**
 * Merges two schemas without applicators into one that allows what both allow. Returns undefined where they visibly
 * exclude one another. Throws `ConstraintError` for two patterns and the like, which one schema cannot hold.
 */
export function mergeSchemas(
  left: SchemaObject,
  right: SchemaObject,
  both: Both,
  path: string,
): SchemaObject | undefined {
  const merged = new Map<string, unknown>([...Object.entries(left), ...Object.entries(right)]);
  const types = mergeTypes(left, right, path);
  if (types?.length === 0) return undefined;
  if (types !== undefined) merged.set("type", types);

  const values = mergeValues(left, right);
  merged.delete("const");
  if (values?.length === 0) return undefined;
  if (values !== undefined) merged.set("enum", values);

  for (const [keywords, choose] of [
    [LARGEST_WINS, Math.max],
    [SMALLEST_WINS, Math.min],
  ] as const) {
    for (const keyword of keywords) {
      const [a, b] = [left[keyword], right[keyword]];
      if (typeof a === "number" && typeof b === "number") merged.set(keyword, choose(a, b));
    }
  }
  for (const keyword of ONE_ONLY) {
    if (!(keyword in left) || !(keyword in right)) continue;
    if (JSON.stringify(left[keyword]) !== JSON.stringify(right[keyword])) {
      throw new ConstraintError(`at ${path}: two schemas with "${keyword}" cannot be combined`);
    }
  }
  if (merged.has("prefixItems") && hasItems(left) && hasItems(right)) {
    throw new ConstraintError(`at ${path}: two schemas with "prefixItems" or "items" cannot be combined`);
  }
  if (left.items !== undefined && right.items !== undefined) {
    merged.set("items", both(schemaAt(left.items, path), schemaAt(right.items, path)));
  }
  mergeObjects(left, right, merged, both, path);
  return Object.fromEntries(merged);
}

function mergeTypes(left: SchemaObject, right: SchemaObject, path: string): readonly string[] | undefined {
  if (left.type === undefined && right.type === undefined) return undefined;
  const [a, b] = [left, right].map((schema) => (schema.type === undefined ? undefined : typesOf(schema, path)));
  if (a === undefined || b === undefined) return a ?? b;
  const narrower = (types: readonly string[], others: readonly string[]): string[] =>
    types.filter((type) => others.includes(type) || (type === "integer" && others.includes("number")));
  return [...new Set([...narrower(a, b), ...narrower(b, a)])];
}

function mergeValues(left: SchemaObject, right: SchemaObject): readonly unknown[] | undefined {
  const lists = [left, right].flatMap((schema): (readonly unknown[])[] => [
    ...("const" in schema ? [[schema.const]] : []),
    ...(Array.isArray(schema.enum) ? [schema.enum] : []),
  ]);
  return lists.length === 0
    ? undefined
    : lists.reduce((some, others) => {
        const known = new Set(others.map((value) => JSON.stringify(value)));
        return some.filter((value) => known.has(JSON.stringify(value)));
      });
}

function mergeObjects(
  left: SchemaObject,
  right: SchemaObject,
  merged: Map<string, unknown>,
  both: Both,
  path: string,
): void {
  const [a, b] = [properties(left), properties(right)];
  if (Object.keys(a).length > 0 || Object.keys(b).length > 0) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    // A key that only one side lists is, for the other side, an additional property.
    merged.set(
      "properties",
      Object.fromEntries(
        Array.from(keys, (key) => [
          key,
          combined(propertyOf(left, a, key, path), propertyOf(right, b, key, path), both),
        ]),
      ),
    );
  }
  if (Array.isArray(left.required) && Array.isArray(right.required)) {
    merged.set("required", [...new Set<unknown>([...left.required, ...right.required])]);
  }
  const others = combined(additional(left, path), additional(right, path), both);
  if (others !== undefined) merged.set("additionalProperties", others);
}

function combined(left: Schema | undefined, right: Schema | undefined, both: Both): Schema | undefined {
  return left === undefined || right === undefined ? (left ?? right) : both(left, right);
}

function properties(schema: SchemaObject): SchemaObject {
  return isSchemaObject(schema.properties) ? schema.properties : {};
}

function propertyOf(schema: SchemaObject, own: SchemaObject, key: string, path: string): Schema | undefined {
  return Object.hasOwn(own, key) ? schemaAt(own[key], path) : additional(schema, path);
}

function additional(schema: SchemaObject, path: string): Schema | undefined {
  return schema.additionalProperties === undefined ? undefined : schemaAt(schema.additionalProperties, path);
}

function hasItems(schema: SchemaObject): boolean {
  return "items" in schema || "prefixItems" in schema;
}
