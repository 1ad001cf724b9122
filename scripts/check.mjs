// Everything that can be said about the code without running it: npm run check, or npm run check -- lint arrows.
// One line per check; a failed one is followed by its output, and the rest still runs.
import { spawn } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { dirname, join } from "node:path";

const root = dirname(import.meta.dirname);
const bin = (/** @type {string} */ name) => join(root, "node_modules", ".bin", name);
const packages = globSync("packages/*/package.json", { cwd: root })
  .map((file) => dirname(file))
  .sort();

// Projects beside the packages: they are checked and never built.
const unpublished = ["scripts", "conformance", "bench", "drill", "packages/grpc/fuzz"].filter((path) =>
  existsSync(join(root, path, "tsconfig.json")),
);

/** @type {{ name: string, command: string, args: string[] }[]} */
const checks = [
  { name: "types", command: bin("tsc"), args: ["-b", ".", ...unpublished] },
  { name: "lint", command: bin("biome"), args: ["ci", "--colors=off", "."] },
  { name: "arrows", command: process.execPath, args: ["scripts/check-arrows.mjs"] },
  { name: "generated", command: process.execPath, args: ["scripts/generate.mjs", "--check"] },
  { name: "knip", command: bin("knip"), args: ["--no-progress"] },
  ...packages.flatMap((path) => [
    { name: `publint ${path}`, command: bin("publint"), args: ["run", path, "--strict"] },
    { name: `attw ${path}`, command: bin("attw"), args: ["--pack", path, "--profile", "esm-only"] },
  ]),
];

const wanted = process.argv.slice(2);
const chosen =
  wanted.length === 0 ? checks : checks.filter(({ name }) => wanted.some((word) => name.split(" ").includes(word)));
if (chosen.length === 0) {
  console.error(`No check has that name. There are: ${checks.map(({ name }) => name).join(", ")}.`);
  process.exit(1);
}

let failed = 0;
for (const { name, command, args } of chosen) {
  const startedAtMs = performance.now();
  const { ok, output } = await run(command, args);
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1).padStart(5);
  console.log(`${ok ? "ok    " : "FAILED"} ${seconds} s  ${name}`);
  if (ok) continue;
  failed += 1;
  console.log(`\n${output.trimEnd()}\n`);
}
console.log(failed === 0 ? `${chosen.length} checks passed.` : `${failed} of ${chosen.length} checks failed.`);
process.exit(failed === 0 ? 0 : 1);

/**
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
function run(command, args) {
  if (!existsSync(command)) return Promise.resolve({ ok: false, output: `${command} is missing; run npm ci.` });
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output += chunk;
  });
  return new Promise((resolve) => {
    child.on("error", (thrown) => resolve({ ok: false, output: `${output}\n${thrown.message}` }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}
