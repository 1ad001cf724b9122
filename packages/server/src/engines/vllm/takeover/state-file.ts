import { closeSync, fstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { EngineError } from "../../../engine/errors.ts";
import { type EngineState, parseEngineState } from "./engine-state.ts";

const maxBytes = 1024 * 1024;

/**
 * What an earlier front end has left in the file; undefined when there is none, or none that can be read as one. Throws
 * `failed-precondition` for a file that others can write or that cannot be opened.
 */
export function readStateFile(path: string): EngineState | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
    throw broken(path, `cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown);
  }
  try {
    const facts = fstatSync(descriptor);
    if (!facts.isFile()) throw broken(path, "is not a regular file");
    const uid = process.getuid?.();
    if ((uid !== undefined && facts.uid !== uid) || (facts.mode & 0o077) !== 0) {
      throw broken(path, `is open to other users (mode ${(facts.mode & 0o777).toString(8)}); make it 600 or remove it`);
    }
    if (facts.size > maxBytes) return undefined;
    return parseEngineState(JSON.parse(readFileSync(descriptor, "utf8")));
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  } finally {
    closeSync(descriptor);
  }
}

/** Whole or not at all, mode 0600. Throws `failed-precondition`. */
export function writeStateFile(path: string, state: EngineState): void {
  const draft = `${path}.${process.pid}.draft`;
  try {
    rmSync(draft, { force: true });
    writeFileSync(draft, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600, flag: "wx", flush: true });
    renameSync(draft, path);
  } catch (thrown) {
    rmSync(draft, { force: true });
    throw broken(path, `cannot be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown);
  }
}

export function removeStateFile(path: string): void {
  rmSync(path, { force: true });
}

function broken(path: string, what: string, cause?: unknown): EngineError {
  const sentence = `the engine's state file ${path} ${what}`;
  return new EngineError("failed-precondition", sentence, cause === undefined ? {} : { cause });
}
