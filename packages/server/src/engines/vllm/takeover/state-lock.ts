import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { EngineError } from "../../../engine/errors.ts";
import { identify, isRunning, type ProcessIdentity } from "../process/process-identity.ts";

/** Held by one front end at a time, for the engines behind one state file. */
export interface StateLock {
  release(): void;
}

/**
 * Takes the lock `PATH.lock` or throws `failed-precondition` with the process that has it. A lock whose process is gone
 * is taken over, however it ended.
 */
export function takeStateLock(statePath: string): StateLock {
  const path = `${statePath}.lock`;
  const own = `${path}.${process.pid}`;
  const holder = JSON.stringify(identify(process.pid));
  try {
    writeFileSync(own, holder, { mode: 0o600 });
    for (let tries = 0; tries < 20; tries += 1) {
      // A link is made or not, in one step, with its content already in it.
      if (tryLink(own, path)) {
        return { release: () => releaseLock(path, holder) };
      }
      const found = readLock(path);
      if (found === undefined) continue;
      const other = parseHolder(found);
      if (other !== undefined && isRunning(other)) {
        throw new EngineError(
          "failed-precondition",
          `process ${other.pid} serves the engine of ${statePath} already; give another --engine-core-state to serve a second engine`,
        );
      }
      removeStale(path, found);
    }
  } catch (thrown) {
    if (thrown instanceof EngineError) throw thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new EngineError("failed-precondition", `the lock ${path} cannot be taken: ${reason}`, { cause: thrown });
  } finally {
    rmSync(own, { force: true });
  }
  throw new EngineError("failed-precondition", `the lock ${path} changes hands all the time`);
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST") return false;
    throw thrown;
  }
}

/** Moved away first, so that of two who find a stale lock one removes it, and never the fresh lock of the other. */
function removeStale(path: string, content: string): void {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (readLock(aside) !== content) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function releaseLock(path: string, holder: string): void {
  if (readLock(path) === holder) rmSync(path, { force: true });
}

function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function parseHolder(text: string): ProcessIdentity | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("pid" in value)) return undefined;
    const { pid, startTicks, bootId } = value as Record<string, unknown>;
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 1) return undefined;
    return {
      pid,
      startTicks: typeof startTicks === "number" ? startTicks : undefined,
      bootId: typeof bootId === "string" ? bootId : undefined,
    };
  } catch {
    return undefined;
  }
}
