import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

// Stands in for npm: it notes the call and leaves what an installation leaves, or fails where it is told to.
const npm = `
const { appendFileSync, mkdirSync, copyFileSync, writeFileSync, existsSync } = require("node:fs");
appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");
if (existsSync("break")) { console.error("npm error code ENOTFOUND"); process.exit(1); }
setTimeout(() => {
  mkdirSync("node_modules/.bin", { recursive: true });
  writeFileSync("node_modules/.bin/node", "");
  copyFileSync("package-lock.json", "node_modules/.package-lock.json");
}, 100);
`;

/** @param {(repository: { root: string, calls: () => number, setUp: () => Promise<{ code: number, output: string }> }) => Promise<void>} body */
async function withRepository(body) {
  const root = mkdtempSync(join(tmpdir(), "tokenwire-set-up-"));
  try {
    mkdirSync(join(root, "scripts"));
    for (const name of ["set-up.mjs", "lock.mjs"])
      copyFileSync(join(import.meta.dirname, name), join(root, "scripts", name));
    writeFileSync(join(root, "npm.cjs"), npm);
    writeFileSync(join(root, "npm.js"), 'require("./npm.cjs");');
    writeLock(root, "1.0.0");
    writeFileSync(join(root, "calls"), "");
    await body({
      root,
      calls: () => readFileSync(join(root, "calls"), "utf8").split("\n").length - 1,
      setUp: () => run(root),
    });
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** @param {string} root @param {string} version */
function writeLock(root, version) {
  const packages = {
    "": {},
    "packages/a": { version: "0.1.0" },
    "node_modules/a": { resolved: "packages/a", link: true },
    "node_modules/b": { version, integrity: `sha512-${version}` },
  };
  writeFileSync(join(root, "package-lock.json"), JSON.stringify({ packages }));
}

/** @param {string} root @returns {Promise<{ code: number, output: string }>} */
function run(root) {
  const env = { ...process.env, npm_execpath: join(root, "npm.js"), npm_config_user_agent: "npm/11.0.0 node/v24.0.0" };
  const child = spawn(process.execPath, [join(root, "scripts", "set-up.mjs")], { env });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output += chunk;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code: code ?? -1, output })));
}

test("a fresh clone is installed once and then left alone in silence", () =>
  withRepository(async ({ calls, setUp }) => {
    const first = await setUp();
    assert.equal(first.code, 0);
    assert.match(first.output, /^Installing dependencies/);
    assert.deepEqual(await setUp(), { code: 0, output: "" });
    assert.equal(calls(), 1);
  }));

test("a changed lockfile is installed again", () =>
  withRepository(async ({ root, calls, setUp }) => {
    await setUp();
    writeLock(root, "1.0.1");
    assert.equal((await setUp()).code, 0);
    assert.equal(calls(), 2);
  }));

test("two runs at once install once", () =>
  withRepository(async ({ calls, setUp }) => {
    const both = await Promise.all([setUp(), setUp()]);
    assert.deepEqual(
      both.map(({ code }) => code),
      [0, 0],
    );
    assert.equal(calls(), 1);
  }));

test("a failed installation shows npm's words and what to do, and is tried again the next time", () =>
  withRepository(async ({ root, calls, setUp }) => {
    writeFileSync(join(root, "break"), "");
    const failed = await setUp();
    assert.equal(failed.code, 1);
    assert.match(failed.output, /npm error code ENOTFOUND/);
    assert.match(failed.output, /npm ci ended with code 1\. Check that the npm registry can be reached/);
    rmSync(join(root, "break"));
    assert.equal((await setUp()).code, 0);
    assert.equal(calls(), 2);
  }));
