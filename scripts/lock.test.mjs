import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { withLock } from "./lock.mjs";

/** @param {(lock: string) => Promise<void>} body */
async function withDirectory(body) {
  const directory = mkdtempSync(join(tmpdir(), "tokenwire-lock-"));
  try {
    await body(join(directory, "lock"));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("work under one lock never overlaps", () =>
  withDirectory(async (lock) => {
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 5 }, () => withLock(lock, { pollMs: 1 }, work)));
    assert.equal(most, 1);
    assert.equal(existsSync(lock), false);
  }));

test("the lock is released when the work fails", () =>
  withDirectory(async (lock) => {
    await assert.rejects(
      withLock(lock, {}, () => {
        throw new Error("broken");
      }),
      /broken/,
    );
    assert.equal(existsSync(lock), false);
  }));

test("the lock of a process that is gone is taken over", () =>
  withDirectory(async (lock) => {
    const gone = spawnSync(process.execPath, ["-e", ""]).pid;
    mkdirSync(lock);
    writeFileSync(join(lock, "pid"), String(gone));
    assert.equal(await withLock(lock, {}, () => "done"), "done");
  }));

test("who has to wait is told once", () =>
  withDirectory(async (lock) => {
    let told = 0;
    let release = () => {};
    const first = withLock(
      lock,
      {},
      () =>
        new Promise((resolve) => {
          release = () => resolve(undefined);
        }),
    );
    const second = withLock(
      lock,
      {
        pollMs: 1,
        onWait: () => {
          told += 1;
          release();
        },
      },
      () => undefined,
    );
    await Promise.all([first, second]);
    assert.equal(told, 1);
  }));
