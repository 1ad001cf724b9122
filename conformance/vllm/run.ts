// Lets a real vLLM stand behind `tokenwire serve --engine vllm`:
//   npm run conformance:vllm                    everything, after installing vLLM once
//   npm run conformance:vllm -- health          the files whose names contain a word
// Not part of `npm run conformance`: the installation takes 6 GB, and each engine starts for half a minute or more.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { installVllm } from "./install.ts";

const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith("-"));
const flags = process.argv.slice(2).filter((arg) => arg.startsWith("-"));
const files = globSync("*.test.ts", { cwd: import.meta.dirname })
  .filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`No suite of vLLM's has ${wanted.join(" or ")} in its name.`);
  process.exit(1);
}

await installVllm();
// One file at a time: an engine takes 4 GB of memory and all cores while it starts.
const args = [
  "--conditions=tokenwire-source",
  "--test",
  "--test-reporter=spec",
  "--test-concurrency=1",
  "--test-timeout=900000",
  ...flags,
];
const paths = files.map((name) => join(import.meta.dirname, name));
const { status } = spawnSync(process.execPath, [...args, ...paths], { stdio: "inherit" });
process.exit(status ?? 1);
