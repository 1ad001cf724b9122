// Runs the tests that sit beside the sources.
//   npm test                              all of them
//   npm test -- health cli/probe          only files whose path contains one of the fragments
//   npm test -- --test-name-pattern=drain anything that begins with a dash goes to node
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";

const root = dirname(import.meta.dirname);
const args = process.argv.slice(2);
const fragments = args.filter((arg) => !arg.startsWith("-"));
const flags = args.filter((arg) => arg.startsWith("-"));

const all = globSync(["packages/*/{src,fuzz}/**/*.test.ts", "scripts/**/*.test.{mjs,ts}"], { cwd: root }).sort();
const files = fragments.length === 0 ? all : all.filter((file) => fragments.some((part) => file.includes(part)));
if (files.length === 0) {
  console.error(
    `No test file has ${fragments.map((part) => `"${part}"`).join(" or ")} in its path (${all.length} files).`,
  );
  process.exit(1);
}

// A hung test ends here and says its name, instead of running into the time limit of a whole CI job.
const timeoutMs = 180_000;
// Node's own default is one file fewer than there are cores, which on two cores is one; many tests wait more than compute.
const concurrency = Math.max(2, Math.min(availableParallelism(), 8));
const defaults = [
  "--conditions=tokenwire-source",
  "--test",
  "--test-reporter=spec",
  `--test-timeout=${timeoutMs}`,
  `--test-concurrency=${concurrency}`,
].filter((flag) => !flags.some((given) => given.split("=")[0] === flag.split("=")[0]));

const { status, signal } = spawnSync(process.execPath, [...defaults, ...flags, ...files], {
  cwd: root,
  stdio: "inherit",
});
if (signal !== null) console.error(`The test run was ended by ${signal}.`);
process.exit(status ?? 1);
