import { ConstraintError } from "./constraint-error.ts";
import { isSchemaObject, type Schema, schemaAt, shown } from "./schema-keywords.ts";

/**
 * Finds what a `$ref` points to within the same schema: `#`, or `#` and a JSON pointer (RFC 6901) such as `#/$defs/Node`.
 * Throws `ConstraintError` for anything else, and where there is nothing.
 */
export function resolveRef(root: Schema, ref: unknown, path: string): Schema {
  if (typeof ref !== "string" || !(ref === "#" || ref.startsWith("#/"))) {
    throw new ConstraintError(
      `at ${path}: "$ref" is ${shown(ref)}; only references within the schema (#/…) are supported`,
    );
  }
  let value: unknown = root;
  for (const part of ref.split("/").slice(1)) {
    const key = decoded(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(value) && /^\d+$/.test(key)) value = value[Number(key)];
    else value = isSchemaObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    if (value === undefined) throw new ConstraintError(`at ${path}: "$ref" is ${shown(ref)}, and there is nothing`);
  }
  return schemaAt(value, ref);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // Not percent-encoded: taken as it stands.
    return part;
  }
}
