import { ConstraintError } from "./constraint-error.ts";
import { MAX_MERGED_ALTERNATIVES, MAX_NESTING } from "./limits.ts";
import {
  assertions,
  childPath,
  refuseUnsupported,
  type Schema,
  type SchemaObject,
  schemaListAt,
} from "./schema-keywords.ts";
import { mergeSchemas } from "./schema-merge.ts";
import { resolveRef } from "./schema-refs.ts";
import type { Work } from "./work.ts";

/** Work that merging a schema or one of its properties counts for. */
const STEPS_PER_MERGE = 100;

/** Rewrites schemas in which `$ref`, `allOf`, `anyOf` and `oneOf` stand beside one another or beside other keywords. */
export class SchemaExpansion {
  readonly #root: Schema;
  readonly #work: Work;
  readonly #both = new Map<Schema, Map<Schema, Schema>>();

  constructor(root: Schema, work: Work) {
    this.#root = root;
    this.#work = work;
  }

  /**
   * The schemas without those keywords of which a document must satisfy one (`oneOf` is read as `anyOf`). Throws
   * `ConstraintError` where there is none.
   */
  plainSchemas(schema: Schema, path: string): SchemaObject[] {
    const plain = this.#expand(schema, path, []);
    if (plain.length === 0) throw new ConstraintError(`at ${path}: the combined schemas exclude one another`);
    return plain;
  }

  /** `trail`: the schemas around this one, and those that refer to it. */
  #expand(schema: Schema, path: string, trail: readonly Schema[]): SchemaObject[] {
    this.#work.spend(STEPS_PER_MERGE);
    if (typeof schema === "boolean") return schema ? [{}] : [];
    if (trail.includes(schema)) throw new ConstraintError(`at ${path}: a "$ref" comes back to itself`);
    if (trail.length > MAX_NESTING)
      throw new ConstraintError(`at ${path}: schemas are nested more than ${MAX_NESTING} deep`);
    refuseUnsupported(schema, path);
    const inner = [...trail, schema];
    let plain: SchemaObject[] = [
      Object.fromEntries(assertions(schema).map((keyword) => [keyword, schema[keyword]] as const)),
    ];
    if (Object.hasOwn(schema, "$ref")) {
      const target = resolveRef(this.#root, schema.$ref, path);
      plain = this.#combinations(plain, this.#expand(target, String(schema.$ref), inner), path);
    }
    for (const keyword of ["allOf", "anyOf", "oneOf"] as const) {
      if (!Object.hasOwn(schema, keyword)) continue;
      const list = schemaListAt(schema[keyword], childPath(path, keyword)).map((item, index) =>
        this.#expand(item, childPath(path, keyword, index), inner),
      );
      for (const others of keyword === "allOf" ? list : [list.flat()]) {
        plain = this.#combinations(plain, others, path);
      }
    }
    return plain;
  }

  #combinations(left: readonly SchemaObject[], right: readonly SchemaObject[], path: string): SchemaObject[] {
    const combined: SchemaObject[] = [];
    for (const one of left) {
      for (const other of right) {
        const properties = Object.keys({ ...asObject(one.properties), ...asObject(other.properties) }).length;
        this.#work.spend(STEPS_PER_MERGE * (1 + properties) + valuesLength(one) + valuesLength(other));
        const merged = mergeSchemas(one, other, (a, b) => this.#bothOf(a, b), path);
        if (merged !== undefined) combined.push(merged);
      }
    }
    if (combined.length > MAX_MERGED_ALTERNATIVES) {
      throw new ConstraintError(
        `at ${path}: the combined schemas have more than ${MAX_MERGED_ALTERNATIVES} alternatives`,
      );
    }
    return combined;
  }

  /** The same object for the same two, so that recursion through combined schemas comes to an end. */
  #bothOf(left: Schema, right: Schema): Schema {
    if (left === right || right === true) return left;
    if (left === true) return right;
    if (left === false || right === false) return false;
    const known = this.#both.get(left) ?? new Map<Schema, Schema>();
    this.#both.set(left, known);
    const made = known.get(right) ?? { allOf: [left, right] };
    known.set(right, made);
    return made;
  }
}

/** The length of the texts of `enum` and `const`, which merging compares. */
function valuesLength(schema: SchemaObject): number {
  return "enum" in schema || "const" in schema ? JSON.stringify([schema.enum, schema.const]).length : 0;
}

function asObject(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}
