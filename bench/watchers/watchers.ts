/**
 * 10,000 Watch streams of grpc.health.v1.Health on 100 connections, and one status change that has to reach all:
 * how long until the last watcher has heard it, what it costs the server, what a watcher costs in memory. Ours beside
 * grpc-js with grpc-health-check, grpc-go and tonic, in turns. Linux, Go, Rust and Node 24. From the repository's root:
 *
 *     npx node --conditions=tokenwire-source bench/watchers/watchers.ts
 *         [--watchers 10000] [--rounds 3] [--changes 5] [--streams-per-connection 100] [--no-pin] [--json]
 *
 * Each round starts each server afresh, opens the streams, and makes `--changes` changes one after the other; the first
 * runs on cold code and stands apart. The server is kept on core 0 and the client (one Go program, grpc-go) on core 1
 * when the machine has `taskset`. Ends with 1 when any watcher did not hear every change exactly once, with the right
 * status. A quick check of that alone: `--watchers 200 --rounds 1`.
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureInstalled, program } from "../../conformance/harness/tools.ts";
import { canPin, loadAverage, rotated } from "../in-turns.ts";
import { tonicServer } from "../transport/programs.ts";
import { goPrograms } from "./go-programs.ts";
import { type Candidate, measure, type Round, type Workload } from "./measure.ts";
import { toFailures, toMarkdown, toRows } from "./report.ts";
import { transports } from "./transports.ts";

const { values } = parseArgs({
  allowNegative: true,
  options: {
    watchers: { type: "string", default: "10000" },
    rounds: { type: "string", default: "3" },
    changes: { type: "string", default: "5" },
    "streams-per-connection": { type: "string", default: "100" },
    pin: { type: "boolean", default: true },
    json: { type: "boolean", default: false },
  },
});
const rounds = positive("--rounds", values.rounds);
const watchers = positive("--watchers", values.watchers);
const workload: Workload = {
  watchers,
  connections: Math.ceil(watchers / positive("--streams-per-connection", values["streams-per-connection"])),
  changes: positive("--changes", values.changes),
  pinned: values.pin && (await canPin()),
};

const candidates: readonly Candidate[] = [
  ...Object.keys(transports).map((name) => node(`tokenwire over ${name}`, "tokenwire.ts", name)),
  node("grpc-js, grpc-health-check", "grpc-health-check.ts"),
  { name: "grpc-go", command: program(goPrograms, "grpc-go-server"), args: [] },
  { name: "tonic", command: program(tonicServer), args: [] },
];

await ensureInstalled(goPrograms);
await ensureInstalled(tonicServer);
const loadBefore = loadAverage();
const measured: Round[] = [];
for (let round = 0; round < rounds; round++) {
  for (const candidate of rotated(candidates, round)) {
    const result = await measure(candidate, workload);
    measured.push(result);
    const notified = result.changes.map(({ notifyMs }) => notifyMs.toFixed(0)).join(", ");
    console.error(`round ${round + 1}/${rounds} ${candidate.name}: heard after ${notified} ms`);
  }
}

const order = candidates.map(({ name }) => name);
const rows = toRows(
  measured.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name)),
  watchers,
);
const failures = toFailures(measured);
const machine = {
  cpu: `${cpus().length} x ${cpus()[0]?.model}`,
  pinned: workload.pinned,
  loadAverageBefore: loadBefore,
  loadAverageAfter: loadAverage(),
};

if (values.json) {
  console.log(JSON.stringify({ machine, workload, rows, rounds: measured, failures }, null, 2));
} else {
  console.log(
    `${watchers} watchers on ${workload.connections} connections, ${rounds} rounds of ${workload.changes} changes; ` +
      `median [min–max]\n${machine.cpu}; ${workload.pinned ? "server on core 0, client on core 1" : "not pinned"}; ` +
      `load average ${loadBefore} before, ${machine.loadAverageAfter} after\n\n${toMarkdown(rows)}\n`,
  );
  for (const { name, software, first, later } of rows) {
    const clientMs = (later ?? first).clientCpuMs.median.toFixed(0);
    console.log(`${name}: ${software}; the client itself used ${clientMs} ms of CPU per change`);
  }
  if (failures.length === 0) console.log("Every watcher heard every change exactly once.");
}
for (const failure of failures) console.error(`FAILED ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;

function node(name: string, file: string, ...args: readonly string[]): Candidate {
  const flags = ["--conditions=tokenwire-source", join(import.meta.dirname, "servers", file)];
  return { name, command: process.execPath, args: [...flags, ...args] };
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  console.error(`${flag} is ${text}; it must be a whole number of at least 1`);
  process.exit(2);
}
