import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Runs `work` while no other process runs work under the same directory, and answers what it answers. The lock is the
 * directory itself, with the holder's process id inside; the lock of a process that is gone is taken over.
 *
 * @template Result
 * @param {string} directory made for the time of the work; its parent must exist
 * @param {{ onWait?: () => void, pollMs?: number }} options `onWait` is called once when another process holds the lock
 * @param {() => Result | Promise<Result>} work
 * @returns {Promise<Result>}
 */
export async function withLock(directory, options, work) {
  let told = false;
  while (!tryTake(directory)) {
    if (holderIsGone(directory)) {
      rmSync(directory, { recursive: true, force: true });
      continue;
    }
    if (!told) options.onWait?.();
    told = true;
    await new Promise((resolve) => setTimeout(resolve, options.pollMs ?? 200));
  }
  try {
    return await work();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @param {string} directory */
function tryTake(directory) {
  try {
    mkdirSync(directory);
  } catch (thrown) {
    if (/** @type {NodeJS.ErrnoException} */ (thrown).code === "EEXIST") return false;
    throw thrown;
  }
  writeFileSync(join(directory, "pid"), String(process.pid));
  return true;
}

/** @param {string} directory */
function holderIsGone(directory) {
  const pid = holderOf(directory);
  if (pid === undefined) {
    // Between making the directory and writing the id lie microseconds, unless the holder was ended just there.
    const madeAtMs = statSync(directory, { throwIfNoEntry: false })?.mtimeMs;
    return madeAtMs !== undefined && Date.now() - madeAtMs > 10_000;
  }
  try {
    process.kill(pid, 0);
    return false;
  } catch (thrown) {
    return /** @type {NodeJS.ErrnoException} */ (thrown).code === "ESRCH";
  }
}

/** @param {string} directory */
function holderOf(directory) {
  try {
    const pid = Number(readFileSync(join(directory, "pid"), "utf8"));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
