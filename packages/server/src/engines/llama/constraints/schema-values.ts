import { ConstraintError } from "./constraint-error.ts";
import { MAX_CHOICES } from "./limits.ts";
import { assertions, isSchemaObject, type SchemaObject, type SchemaType, shown, typesOf } from "./schema-keywords.ts";

/** The JSON texts that a schema with `enum` or `const` allows: one or more. Throws `ConstraintError`. */
export function allowedTexts(schema: SchemaObject, path: string): string[] {
  const other = assertions(schema).find((key) => key !== "enum" && key !== "const" && key !== "type");
  if (other !== undefined)
    throw new ConstraintError(`at ${path}: "${other}" beside "enum" or "const" is not supported`);
  if ("enum" in schema && !Array.isArray(schema.enum)) {
    throw new ConstraintError(`at ${path}: "enum" is ${shown(schema.enum)}, and must be a list`);
  }
  const list: readonly unknown[] = Array.isArray(schema.enum) ? schema.enum : [schema.const];
  if (list.length > MAX_CHOICES) {
    throw new ConstraintError(`at ${path}: "enum" has ${list.length} values, and at most ${MAX_CHOICES} are allowed`);
  }
  const types = schema.type === undefined ? undefined : typesOf(schema, path);
  const constant = "const" in schema ? JSON.stringify(schema.const) : undefined;
  const texts = list
    .filter((value) => types === undefined || types.some((type) => isOfType(value, type)))
    .map((value) => exactText(value, path))
    .filter((text) => constant === undefined || text === constant);
  if (texts.length === 0) throw new ConstraintError(`at ${path}: none of the values of "enum" or "const" is allowed`);
  return texts;
}

/** The text of a value that can be written exactly as the schema means it. */
function exactText(value: unknown, path: string): string {
  if (isInexact(value)) {
    throw new ConstraintError(`at ${path}: ${shown(value)} has a number beyond ±(2^53 - 1), which is not exact`);
  }
  return JSON.stringify(value);
}

function isInexact(value: unknown): boolean {
  if (typeof value === "number")
    return Number.isInteger(value) ? !Number.isSafeInteger(value) : !Number.isFinite(value);
  return typeof value === "object" && value !== null && Object.values(value).some(isInexact);
}

function isOfType(value: unknown, type: SchemaType): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "integer":
      return Number.isInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return isSchemaObject(value);
    case "boolean":
    case "number":
    case "string":
      return typeof value === type;
  }
}
