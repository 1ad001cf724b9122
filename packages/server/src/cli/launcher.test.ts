import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runTokenwire } from "./testing/run-tokenwire.ts";

const packageFolder = fileURLToPath(new URL("../../", import.meta.url));

test("in a clone the launcher runs the sources", async () => {
  const { version } = JSON.parse(await readFile(join(packageFolder, "package.json"), "utf8"));
  assert.deepEqual(await runTokenwire(["--version"]), { exitCode: 0, out: `${version}\n`, error: "" });
});

test("below node_modules it runs the build, and never sources", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tokenwire-"));
  try {
    const installed = join(folder, "node_modules", "tokenwire");
    await mkdir(join(installed, "dist", "cli"), { recursive: true });
    await mkdir(join(installed, "src", "cli"), { recursive: true });
    await cp(join(packageFolder, "bin"), join(installed, "bin"), { recursive: true });
    await writeFile(join(installed, "package.json"), '{"type":"module"}');
    await writeFile(join(installed, "dist", "cli", "main.js"), 'console.log("the build");');
    await writeFile(join(installed, "src", "cli", "main.ts"), 'console.log("the sources");');
    const { stdout, status } = spawnSync(process.execPath, [join(installed, "bin", "tokenwire.mjs")]);
    assert.deepEqual([status, stdout.toString()], [0, "the build\n"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("an old Node is told so in one sentence, exit code 2", async () => {
  const pretend = (version: string): string =>
    `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
  for (const version of ["20.19.5", "22.17.1"]) {
    const { exitCode, out, error } = await runTokenwire(["--version"], { nodeFlags: ["--import", pretend(version)] });
    assert.deepEqual([exitCode, out], [2, ""]);
    assert.match(error, new RegExp(`^tokenwire needs Node 22\\.18 or newer, and this is Node ${version}; [^\\n]+\\n$`));
  }
  assert.equal((await runTokenwire(["--version"], { nodeFlags: ["--import", pretend("22.18.0")] })).exitCode, 0);
});

test("wrong flags are one line on standard error and exit code 2", async () => {
  for (const words of [
    [],
    ["serve"],
    ["serve", "m.gguf", "--dtype", "auto"],
    ["serve", "m.gguf", "--port", "x"],
    ["generate"],
    ["generate", "x", "--no-such"],
  ]) {
    const { exitCode, out, error } = await runTokenwire(words);
    assert.deepEqual([exitCode, out], [2, ""], words.join(" "));
    assert.match(error, /^error: [^\n]+\n$/);
  }
});
