import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../../engine/errors.ts";
import type { TokenizerFile } from "../../../engine/facts.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads a JSON object from a file of a model's folder; undefined when there is no such file. One that was read before,
 * among `files`, is not read again. Throws `failed-precondition` with a sentence when it is larger than `maxBytes`,
 * cannot be read, or holds something else.
 */
export async function readJsonFile(
  folder: string,
  name: string,
  maxBytes: number,
  files: readonly TokenizerFile[] = [],
): Promise<JsonObject | undefined> {
  const path = join(folder, name);
  const bytes = files.find((file) => file.name === name)?.bytes ?? (await readBytes(path, maxBytes));
  if (bytes === undefined) return undefined;
  if (bytes.length > maxBytes) throw tooLarge(path, maxBytes);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8"));
  } catch (thrown) {
    throw broken(path, `is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown);
  }
  if (!isJsonObject(value)) throw broken(path, "is not a JSON object");
  return value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Undefined when there is no such file. */
async function readBytes(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    const facts = await stat(path);
    if (!facts.isFile()) throw broken(path, "is not a regular file");
    if (facts.size > maxBytes) throw tooLarge(path, maxBytes);
    return await readFile(path);
  } catch (thrown) {
    if (thrown instanceof EngineError) throw thrown;
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "ENOENT") return undefined;
    throw broken(path, `cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown);
  }
}

function tooLarge(path: string, maxBytes: number): EngineError {
  return broken(path, `is larger than ${maxBytes} bytes`);
}

function broken(path: string, what: string, cause?: unknown): EngineError {
  return new EngineError("failed-precondition", `${path} ${what}`, cause === undefined ? {} : { cause });
}
