import type { Automaton } from "./automaton.ts";
import { addAutomaton } from "./automaton-grammar.ts";
import { ConstraintError } from "./constraint-error.ts";
import {
  alternatives,
  EMPTY,
  type GbnfGrammar,
  type GbnfNode,
  literal,
  optional,
  reference,
  repeat,
  sequence,
} from "./gbnf.ts";
import { GbnfBuilder } from "./gbnf-builder.ts";
import * as json from "./json-grammar.ts";
import { jsonStringEncoding } from "./json-grammar.ts";
import { integerRange, type NumberLimits, numberRange } from "./json-number.ts";
import { MAX_NESTING, MAX_PATTERN_TEXT_LENGTH, MAX_PROPERTIES, MAX_REPETITIONS, MAX_SCHEMAS } from "./limits.ts";
import { literalTrie } from "./literal-trie.ts";
import { automatonOf } from "./regex.ts";
import { parseRegex } from "./regex-parse.ts";
import { SchemaExpansion } from "./schema-expansion.ts";
import * as keywords from "./schema-keywords.ts";
import {
  childPath,
  type Schema,
  type SchemaObject,
  type SchemaType,
  schemaAt,
  schemaListAt,
} from "./schema-keywords.ts";
import { type ObjectProperty, objectNode } from "./schema-object.ts";
import { resolveRef } from "./schema-refs.ts";
import { allowedTexts } from "./schema-values.ts";
import { formatNode } from "./string-formats.ts";
import { Work } from "./work.ts";

/**
 * The grammar of the documents that a JSON Schema (draft 2020-12, and what earlier drafts have in common with it) allows.
 * Every document of the grammar is valid; not every valid document is in the grammar, because a model has to write one and
 * not all:
 * - no white space but one optional space after ":" and ",";
 * - properties in the order of the schema; without `additionalProperties` none but those of the schema (where it has some);
 * - a schema without `type` has the types its keywords speak about; an integer has no point;
 * - numbers with limits have no exponent, see `numberRange`; a `pattern` matches the whole string, see `parseRegex`;
 * - strings with `pattern` or `format`, and values of `enum` and `const`, are escaped as JSON.stringify does;
 * - `maxLength` and `maxItems` above `MAX_REPETITIONS` count as that, `maxLength` beside a `pattern` above
 *   `MAX_PATTERN_TEXT_LENGTH` as that.
 *
 * Not enforced, so that a document may be invalid: `oneOf` is read as `anyOf`; keys within a free-form object, or among the
 * additional properties, may come twice; a `format` that `string-formats.ts` does not list, or beside a `pattern` (which
 * then stands for it).
 *
 * Keywords that would change which documents are valid and are not supported are refused: `not`, `if`, `patternProperties`,
 * `propertyNames`, `dependent…`, `contains`, `uniqueItems`, `multipleOf`, `unevaluated…`, `$dynamicRef`, `minProperties` and
 * `maxProperties` where they add something. Unknown keywords are annotations. Throws `ConstraintError` with a JSON pointer.
 */
export function schemaGrammar(source: string): GbnfGrammar {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (thrown) {
    throw new ConstraintError(`is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  refuseDeep(value);
  return new SchemaCompiler(schemaAt(value, "#")).grammar();
}

/** Values may be nested in schemas (enum, const), so this is more than the nesting of schemas. */
const MAX_JSON_DEPTH = 4 * MAX_NESTING;

function refuseDeep(value: unknown): void {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_JSON_DEPTH) throw new ConstraintError(`is nested more than ${MAX_JSON_DEPTH} deep`);
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
  }
}

class SchemaCompiler {
  readonly #root: Schema;
  readonly #builder = new GbnfBuilder();
  /** Rules of schemas that are referred to or that combine others; they may be recursive. */
  readonly #rules = new Map<Schema, string>();
  readonly #pending: (() => void)[] = [];
  /** Rules of numbers with limits and of texts with a pattern, by what they are made from. */
  readonly #automata = new Map<string, GbnfNode>();
  readonly #work = new Work();
  readonly #expansion: SchemaExpansion;
  #schemas = 0;

  constructor(root: Schema) {
    this.#root = root;
    this.#expansion = new SchemaExpansion(root, this.#work);
  }

  grammar(): GbnfGrammar {
    const root = this.#builder.reserve("root");
    this.#builder.define(root, this.#compile(this.#root, "#", 0));
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) next();
    return this.#builder.grammar();
  }

  /** The documents of a schema, as a node that is small: what is large becomes a rule. */
  #compile(schema: Schema, path: string, depth: number): GbnfNode {
    this.#count(path);
    if (depth > MAX_NESTING) throw new ConstraintError(`at ${path}: schemas are nested more than ${MAX_NESTING} deep`);
    if (schema === false) throw new ConstraintError(`at ${path}: the schema false allows no document`);
    if (schema === true) return json.jsonValue(this.#builder);
    keywords.refuseUnsupported(schema, path);
    const applicators = keywords.APPLICATORS.filter((keyword) => Object.hasOwn(schema, keyword));
    const [applicator] = applicators;
    if (applicator === undefined) return this.#compilePlain(schema, path, depth);
    if (applicators.length > 1 || keywords.assertions(schema).length > 0) return this.#ruleOf(schema, path, true);
    if (applicator === "$ref") {
      return this.#ruleOf(resolveRef(this.#root, schema.$ref, path), String(schema.$ref), false);
    }
    const list = schemaListAt(schema[applicator], childPath(path, applicator));
    if (applicator === "allOf" && list.length > 1) return this.#ruleOf(schema, path, true);
    const options = list.flatMap((item, index) =>
      item === false ? [] : [this.#compile(item, childPath(path, applicator, index), depth + 1)],
    );
    if (options.length === 0) throw new ConstraintError(`at ${path}: "${applicator}" allows no document`);
    return options.length === 1 ? alternatives(options) : this.#builder.add(applicator, alternatives(options));
  }

  /** The rule of a schema, compiled later. `expand` where its applicators are to be merged with what stands beside them. */
  #ruleOf(schema: Schema, path: string, expand: boolean): GbnfNode {
    const known = this.#rules.get(schema);
    if (known !== undefined) return reference(known);
    const name = this.#builder.reserve(path.slice(path.lastIndexOf("/") + 1).replace("#", "root"));
    if (typeof schema !== "boolean") this.#rules.set(schema, name);
    this.#pending.push(() => {
      const node = expand
        ? alternatives(this.#expansion.plainSchemas(schema, path).map((one) => this.#compilePlain(one, path, 0)))
        : this.#compile(schema, path, 0);
      this.#builder.define(name, node);
    });
    return reference(name);
  }

  #compilePlain(schema: SchemaObject, path: string, depth: number): GbnfNode {
    if ("enum" in schema || "const" in schema) return this.#compileValues(schema, path);
    const types = keywords.typesOf(schema, path);
    if (types === undefined) return json.jsonValue(this.#builder);
    return alternatives(types.map((type) => this.#compileType(type, schema, path, depth)));
  }

  #compileValues(schema: SchemaObject, path: string): GbnfNode {
    const texts = allowedTexts(schema, path);
    this.#work.spend(texts.reduce((sum, text) => sum + text.length, 0));
    const [first = ""] = texts;
    return texts.length === 1 ? literal(first) : addAutomaton(this.#builder, literalTrie(texts), "enum");
  }

  #compileType(type: SchemaType, schema: SchemaObject, path: string, depth: number): GbnfNode {
    switch (type) {
      case "null":
        return literal("null");
      case "boolean":
        return json.jsonBoolean(this.#builder);
      case "integer":
      case "number":
        return this.#compileNumber(type, schema, path);
      case "string":
        return this.#compileString(schema, path);
      case "array":
        return this.#compileArray(schema, path, depth);
      case "object":
        return this.#compileObject(schema, path, depth);
    }
  }

  #compileNumber(type: "integer" | "number", schema: SchemaObject, path: string): GbnfNode {
    const limits: NumberLimits = {
      minimum: keywords.numberAt(schema, "minimum", path),
      maximum: keywords.numberAt(schema, "maximum", path),
      exclusiveMinimum: keywords.numberAt(schema, "exclusiveMinimum", path),
      exclusiveMaximum: keywords.numberAt(schema, "exclusiveMaximum", path),
    };
    if (Object.values(limits).every((limit) => limit === undefined)) {
      return type === "integer" ? json.jsonInteger(this.#builder) : json.jsonNumber(this.#builder);
    }
    return this.#automaton(type, limits, path, () =>
      automatonOf(type === "integer" ? integerRange(limits) : numberRange(limits), this.#work),
    );
  }

  #compileString(schema: SchemaObject, path: string): GbnfNode {
    const { min, max } = counts(schema, "minLength", "maxLength", path);
    const pattern = keywords.textAt(schema, "pattern", path);
    const format = formatNode(keywords.textAt(schema, "format", path) ?? "");
    if (pattern === undefined && format === undefined) return json.jsonString(this.#builder, min, max);
    const place = childPath(path, pattern === undefined ? "format" : "pattern");
    const text = this.#automaton("text", { pattern, format: schema.format, min, max }, place, () => {
      const node = pattern === undefined ? format : parseRegex(pattern);
      const most = max === undefined ? undefined : Math.max(min, Math.min(max, MAX_PATTERN_TEXT_LENGTH));
      return automatonOf(node ?? EMPTY, this.#work, min === 0 && most === undefined ? undefined : { min, max: most });
    });
    return sequence([literal('"'), text, literal('"')]);
  }

  /** The rule of an automaton, the same for equal `origin`. What `make` throws gets the place. */
  #automaton(hint: string, origin: object, path: string, make: () => Automaton): GbnfNode {
    const key = JSON.stringify([hint, origin]);
    const known = this.#automata.get(key);
    if (known !== undefined) return known;
    const automaton = located(path, make);
    const encode = hint === "text" ? jsonStringEncoding : undefined;
    const made = addAutomaton(this.#builder, automaton, hint, encode);
    this.#automata.set(key, made);
    return made;
  }

  #compileArray(schema: SchemaObject, path: string, depth: number): GbnfNode {
    const { min, max } = counts(schema, "minItems", "maxItems", path);
    // Before draft 2020-12, `items` was the list and `additionalItems` what follows it.
    const [prefix, rest, prefixKey, restKey] = Array.isArray(schema.items)
      ? [schema.items, schema.additionalItems, "items", "additionalItems"]
      : [schema.prefixItems ?? [], schema.items, "prefixItems", "items"];
    const prefixList =
      Array.isArray(prefix) && prefix.length === 0 ? [] : schemaListAt(prefix, childPath(path, prefixKey));
    if (prefixList.length > MAX_PROPERTIES) {
      throw new ConstraintError(`at ${path}: "${prefixKey}" has more than ${MAX_PROPERTIES} items`);
    }
    const restSchema = rest === undefined ? true : schemaAt(rest, childPath(path, restKey));
    const firstFalse = prefixList.indexOf(false);
    const fixed = prefixList.slice(
      0,
      Math.min(firstFalse < 0 ? prefixList.length : firstFalse, max ?? Number.POSITIVE_INFINITY),
    );
    const open = firstFalse < 0 && restSchema !== false && (max === undefined || max > fixed.length);
    if (!open && min > fixed.length) {
      throw new ConstraintError(`at ${path}: "minItems" is ${min}, and only ${fixed.length} items are allowed`);
    }
    const builder = this.#builder;
    const restNode = open ? this.#compile(restSchema, childPath(path, restKey), depth + 1) : undefined;
    if (fixed.length === 0) {
      const list = restNode === undefined ? literal("") : json.commaSeparated(builder, restNode, min, max);
      return builder.add("array", sequence([literal("["), list, literal("]")]));
    }
    let following =
      restNode === undefined
        ? literal("")
        : repeat(
            sequence([json.comma(builder), restNode]),
            Math.max(0, min - fixed.length),
            max === undefined ? undefined : max - fixed.length,
          );
    for (const [index, item] of [...fixed.entries()].reverse()) {
      const node = this.#compile(item, childPath(path, prefixKey, index), depth + 1);
      const withItem = sequence([...(index === 0 ? [] : [json.comma(builder)]), node, following]);
      following = index < min ? withItem : builder.add("items", optional(withItem));
    }
    return builder.add("array", sequence([literal("["), following, literal("]")]));
  }

  #compileObject(schema: SchemaObject, path: string, depth: number): GbnfNode {
    const declared = new Map(Object.entries(keywords.isSchemaObject(schema.properties) ? schema.properties : {}));
    if (schema.properties !== undefined && !keywords.isSchemaObject(schema.properties)) {
      throw new ConstraintError(
        `at ${path}: "properties" is ${keywords.shown(schema.properties)}, and must be an object`,
      );
    }
    const required = new Set(requiredOf(schema, path));
    if (declared.size + required.size > MAX_PROPERTIES) {
      throw new ConstraintError(`at ${path}: has more than ${MAX_PROPERTIES} properties`);
    }
    const closed = schema.unevaluatedProperties === false && schema.additionalProperties === undefined;
    const others = closed
      ? false
      : schemaAt(schema.additionalProperties ?? true, childPath(path, "additionalProperties"));
    for (const key of required) if (!declared.has(key)) declared.set(key, others);

    const properties: ObjectProperty[] = [];
    const forbidden: string[] = [];
    for (const [key, value] of declared) {
      const property = schemaAt(value, childPath(path, "properties", key));
      if (property !== false) {
        const node = this.#compile(property, childPath(path, "properties", key), depth + 1);
        properties.push({ key, required: required.has(key), value: node });
      } else if (required.has(key)) {
        throw new ConstraintError(`at ${path}: the property ${JSON.stringify(key)} is required and not allowed`);
      } else forbidden.push(key);
    }
    const open = others !== false && (schema.additionalProperties !== undefined || properties.length === 0);
    this.#checkPropertyCounts(schema, path, required.size, open ? Number.POSITIVE_INFINITY : properties.length);
    if (open && properties.length === 0 && forbidden.length === 0 && others === true)
      return json.jsonObject(this.#builder);
    const additional = open ? this.#compile(others, childPath(path, "additionalProperties"), depth + 1) : undefined;
    return this.#builder.add("object", objectNode(this.#builder, properties, additional, forbidden));
  }

  #checkPropertyCounts(schema: SchemaObject, path: string, fewest: number, most: number): void {
    if ((keywords.countAt(schema, "minProperties", path) ?? 0) > fewest) {
      throw new ConstraintError(`at ${path}: "minProperties" above the number of required properties is not supported`);
    }
    if ((keywords.countAt(schema, "maxProperties", path) ?? Number.POSITIVE_INFINITY) < most) {
      throw new ConstraintError(`at ${path}: "maxProperties" below the number of properties is not supported`);
    }
  }

  #count(path: string): void {
    if (++this.#schemas > MAX_SCHEMAS) {
      throw new ConstraintError(`at ${path}: more than ${MAX_SCHEMAS} schemas, counting each combination of them`);
    }
  }
}

function counts(
  schema: SchemaObject,
  minKey: string,
  maxKey: string,
  path: string,
): { min: number; max: number | undefined } {
  const min = keywords.countAt(schema, minKey, path) ?? 0;
  const max = keywords.countAt(schema, maxKey, path);
  if (min > MAX_REPETITIONS) throw new ConstraintError(`at ${path}: "${minKey}" is above ${MAX_REPETITIONS}`);
  if (max !== undefined && max < min) throw new ConstraintError(`at ${path}: "${maxKey}" is below "${minKey}"`);
  return { min, max: max === undefined ? undefined : Math.min(max, MAX_REPETITIONS) };
}

function requiredOf(schema: SchemaObject, path: string): string[] {
  const { required } = schema;
  if (required === undefined) return [];
  if (Array.isArray(required)) {
    const keys = required.filter((key) => typeof key === "string");
    if (keys.length === required.length) return keys;
  }
  throw new ConstraintError(`at ${path}: "required" is ${keywords.shown(required)}, and must be a list of strings`);
}

/** Adds the place to what is thrown about a regular expression or a range. */
function located<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (thrown) {
    if (thrown instanceof ConstraintError) throw new ConstraintError(`at ${path}: ${thrown.message}`);
    throw thrown;
  }
}
