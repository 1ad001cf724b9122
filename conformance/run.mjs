// Lets other people's clients drive a running server:
//   npm run conformance                    every suite
//   npm run conformance -- grpcurl docs    some of them
// A suite whose tools cannot be built here is skipped with a reason, and counted; with CI=true that is a failure.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { dirname } from "node:path";
import {
  connectconformance,
  ensureInstalled,
  gateway,
  grpcGoReader,
  grpcHealthProbe,
  grpcio,
  grpcurl,
  h2spec,
  healthCheckedClient,
  interopClient,
  kubeletProbes,
  kubernetesValidate,
  tonicReader,
  versionOf,
} from "./harness/tools.ts";

/** @type {Record<string, import("./harness/tools.ts").Tool[]>} */
const suites = {
  grpcurl: [grpcurl],
  "grpc-health-probe": [grpcHealthProbe],
  grpcio: [grpcio],
  "grpc-go-health": [healthCheckedClient],
  gateway: [gateway],
  kubernetes: [kubeletProbes, kubernetesValidate],
  transport: [h2spec, connectconformance, interopClient],
  content: [grpcGoReader, tonicReader, grpcio],
  "bad-input": [],
  docs: [grpcurl, grpcHealthProbe, gateway],
};

const root = dirname(import.meta.dirname);
// Of one file; a soak takes its time beside that.
const limitMs = 300_000 + Number(process.env.SOAK_MINUTES ?? 0) * 60_000;
const required = process.env.CI === "true";
const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith("-"));
const flags = process.argv.slice(2).filter((arg) => arg.startsWith("-"));
const unknown = wanted.filter((name) => !(name in suites));
if (unknown.length > 0) {
  console.error(`There is no suite ${unknown.join(", ")}. There are: ${Object.keys(suites).join(", ")}.`);
  process.exit(1);
}
const chosen = Object.entries(suites).filter(([name]) => wanted.length === 0 || wanted.includes(name));

/** Why each tool that could not be had is not there. @type {Map<import("./harness/tools.ts").Tool, string>} */
const missing = new Map();
const tools = [...new Set(chosen.flatMap(([, needed]) => needed))];
await Promise.all([installInTurn("go"), installInTurn("python3"), installInTurn("cargo")]);

/** @type {string[]} */
const skipped = [];
const failed = [];
for (const [name, needed] of chosen) {
  const reason = needed.map((tool) => missing.get(tool)).find((why) => why !== undefined);
  if (reason !== undefined) {
    console.log(`\n== ${name}: SKIPPED, ${reason}`);
    skipped.push(name);
    continue;
  }
  console.log(`\n== ${name}`);
  const files = globSync(`conformance/${name}/**/*.test.ts`, { cwd: root }).sort();
  // One file at a time: each starts a server with an engine, and a small machine serves one of them well.
  const args = [
    "--test",
    "--test-reporter=spec",
    "--test-concurrency=1",
    `--test-timeout=${limitMs}`,
    ...flags,
    ...files,
  ];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) failed.push(name);
}

const ran = chosen.length - skipped.length;
console.log(
  `\nconformance: ${ran - failed.length} suites passed, ${list(failed, "failed")}, ${list(skipped, "skipped")}.`,
);
if (required && skipped.length > 0) console.log("CI=true: a skipped suite is a failure.");
process.exit(failed.length > 0 || (required && skipped.length > 0) ? 1 : 0);

/** Tools of one kind share caches and locks, so they are built one after the other.
 * @param {import("./harness/tools.ts").Tool["needs"]} needs
 */
async function installInTurn(needs) {
  const mine = tools.filter((tool) => tool.needs === needs);
  const version = mine.length === 0 ? undefined : await versionOf(needs);
  for (const tool of mine) {
    if (version === undefined) {
      missing.set(tool, `${tool.name} needs ${needs}, which is not on this machine`);
      continue;
    }
    try {
      await ensureInstalled(tool);
    } catch (thrown) {
      missing.set(tool, `${tool.name} could not be installed: ${/** @type {Error} */ (thrown).message}`);
    }
  }
}

/**
 * @param {string[]} names
 * @param {string} verb
 */
function list(names, verb) {
  return names.length === 0 ? `0 ${verb}` : `${names.length} ${verb} (${names.join(", ")})`;
}
