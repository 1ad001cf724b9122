import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../../engine/errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads a JSON object from a file of a model's folder; undefined when there is no such file. Throws `failed-precondition`
 * with a sentence when it is larger than `maxBytes`, cannot be read, or holds something else.
 */
export async function readJsonFile(folder: string, name: string, maxBytes: number): Promise<JsonObject | undefined> {
  const path = join(folder, name);
  let text: string;
  try {
    const facts = await stat(path);
    if (!facts.isFile()) throw broken(path, "is not a regular file");
    if (facts.size > maxBytes) throw broken(path, `is larger than ${maxBytes} bytes`);
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof EngineError) throw thrown;
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "ENOENT") return undefined;
    throw broken(path, `cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw broken(path, `is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown);
  }
  if (!isJsonObject(value)) throw broken(path, "is not a JSON object");
  return value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function broken(path: string, what: string, cause?: unknown): EngineError {
  return new EngineError("failed-precondition", `${path} ${what}`, cause === undefined ? {} : { cause });
}
