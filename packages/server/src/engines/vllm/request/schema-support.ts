import { isJsonObject, type JsonObject } from "../model/read-json-file.ts";

/** vllm/v1/structured_output/backend_xgrammar.py, STRING_SUPPORTED_FORMATS. */
const knownFormats: ReadonlySet<unknown> = new Set([
  "email",
  "date",
  "time",
  "date-time",
  "duration",
  "ipv4",
  "ipv6",
  "hostname",
  "uuid",
  "uri",
  "uri-reference",
  "uri-template",
  "json-pointer",
  "relative-json-pointer",
]);

/**
 * What a JSON schema asks for and xgrammar drops without a word, so that an answer could break it: the keyword and where it
 * stands, as in `multipleOf in /properties/price`. Undefined when there is nothing of the kind.
 *
 * The list is vLLM's (backend_xgrammar.py, has_xgrammar_unsupported_json_features at 0.32).
 */
export function droppedByXgrammar(schema: unknown): string | undefined {
  // A list and not a recursion: a schema from outside may be nested deeper than the stack.
  const open: { readonly value: unknown; readonly path: string }[] = [{ value: schema, path: "" }];
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    const { value, path } = part;
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) open.push({ value: item, path: `${path}/${i}` });
    } else if (isJsonObject(value)) {
      const keyword = droppedKeyword(value);
      if (keyword !== undefined) return `${keyword} in ${path === "" ? "the schema" : path}`;
      for (const [name, item] of Object.entries(value)) open.push({ value: item, path: `${path}/${name}` });
    }
  }
  return undefined;
}

function droppedKeyword(schema: JsonObject): string | undefined {
  const types: readonly unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type];
  const isType = (...names: readonly string[]): boolean => names.some((name) => types.includes(name));
  if (isType("integer", "number") && "multipleOf" in schema) return "multipleOf";
  if (isType("array")) {
    const keyword = ["uniqueItems", "contains", "minContains", "maxContains"].find((name) => name in schema);
    if (keyword !== undefined) return keyword;
  }
  if (isType("string") && "format" in schema && !knownFormats.has(schema.format)) return "format";
  if (isType("string") && boundsPattern(schema)) return "a length beside pattern or format";
  if (!isType("object")) return undefined;
  const names = schema.propertyNames;
  if (isJsonObject(names) && boundsPattern(names)) return "a length beside pattern or format of propertyNames";
  const othersNamed =
    "properties" in schema ||
    "patternProperties" in schema ||
    isJsonObject(schema.additionalProperties) ||
    (schema.unevaluatedProperties ?? true) !== true;
  if ("propertyNames" in schema && othersNamed) return "propertyNames beside properties";
  const patterns = schema.patternProperties;
  if (isJsonObject(patterns) && ("properties" in schema || Object.keys(patterns).length > 1)) {
    return "patternProperties beside properties";
  }
  return undefined;
}

function boundsPattern(schema: JsonObject): boolean {
  return ("pattern" in schema || "format" in schema) && ("minLength" in schema || "maxLength" in schema);
}
