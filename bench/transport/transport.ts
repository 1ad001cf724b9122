import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeCertificate } from "../../conformance/harness/certificate.ts";
import { ensureInstalled, program } from "../../conformance/harness/tools.ts";
import { canPin, loadAverage, rotated } from "../in-turns.ts";
import { type Cell, cells } from "./cells.ts";
import { type Candidate, measure, type RunningServer, type Sample, startServer, warmUp } from "./measure.ts";
import { compiledServers, compileServers, goPrograms, tonicServer } from "./programs.ts";
import { toMarkdown, toRatios } from "./report.ts";

/** Of each server with each cell, each of two times, before the first round. */
const warmUpMs = 3_000;
const help = `What a call and a message cost a gRPC server, in microseconds of CPU: @tokenwire/grpc beside grpc-js, grpc-go and tonic,
in turns within one run. Linux with taskset and openssl, two cores, Go, Rust and Node 24. From the repository's root:

    node --conditions=tokenwire-source bench/transport/transport.ts [flags]

  --rounds N           rounds of all cells, all servers in turns (default 3)
  --seconds N          time of each measurement (default 2)
  --quick              one round of half a second: does everything run?
  --cells a,b          only these: ${cells.map(({ name }) => name).join(", ")}
  --servers a,b        only these: tokenwire, grpc-js, grpc-go, tonic, and those of --also
  --also NAME=COMMAND  another server that announces itself like bench/transport/servers (no TLS); may be repeated
  --json               all samples as JSON
  --help               this text

Each server runs on core 0, those for Node as compiled JavaScript, in one process that all rounds share and that served each
cell twice for ${warmUpMs / 1000} s before, the client on core 1. The client is a program of this folder that speaks HTTP/2 cheaply (m, s, p and
e cells) or grpc-go (go and probe cells); it checks every answer. The first run builds Go and Rust programs into
~/.cache/tokenwire, which takes minutes. Ends with 1 when an answer was wrong.`;

const ours = "tokenwire";
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    quick: { type: "boolean", default: false },
    cells: { type: "string" },
    servers: { type: "string" },
    also: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const rounds = values.quick ? 1 : positive("--rounds", values.rounds);
const durationMs = values.quick ? 500 : 1000 * positive("--seconds", values.seconds);
const chosenCells = chosen("--cells", values.cells, cells);
const candidates = chosen("--servers", values.servers, [
  node(ours, "tokenwire.js"),
  ...values.also.map(also),
  node("grpc-js", "grpc-js.js"),
  { name: "grpc-go", command: [program(goPrograms, "grpc-go-server")], tlsArguments: [] },
  { name: "tonic", command: [program(tonicServer)], tlsArguments: [] },
]);
if (!(await canPin())) {
  fail("this benchmark needs Linux with taskset and two cores");
}

await compileServers();
await ensureInstalled(goPrograms);
if (candidates.some(({ name }) => name === "tonic")) await ensureInstalled(tonicServer);
const certificate = makeCertificate();
const samples: Sample[] = [];
const loadBefore = loadAverage();
const servers = new Map<string, RunningServer>();
try {
  for (const candidate of candidates) {
    servers.set(candidate.name, await startServer(candidate, []));
    if (chosenCells.some(({ tls }) => tls) && candidate.tlsArguments !== undefined) {
      const files = candidate.name === "grpc-go" ? ["-cert", certificate.cert, "-key", certificate.key] : undefined;
      servers.set(`${candidate.name} TLS`, await startServer(candidate, files ?? [certificate.cert, certificate.key]));
    }
  }
  await warmUpAll();
  await measureAll();
} finally {
  for (const server of servers.values()) server.stop();
  certificate.remove();
}
report();

/** Twice, because a runtime that compiled for one cell compiles again for both when it meets the next. */
async function warmUpAll(): Promise<void> {
  for (const cell of [...chosenCells, ...chosenCells]) {
    for (const { name } of candidates) {
      const server = servers.get(cell.tls ? `${name} TLS` : name);
      if (server === undefined || cell.probed === true) continue;
      await warmUp(server, cell, { durationMs: values.quick ? 200 : warmUpMs, certificate: certificate.cert });
    }
    console.error(`warmed up for ${cell.name}`);
  }
}

async function measureAll(): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, cell] of chosenCells.entries()) {
      for (const { name } of rotated(candidates, round + at)) {
        const server = servers.get(cell.tls ? `${name} TLS` : name);
        if (server === undefined) continue;
        const sample = await measure(server, cell, { durationMs, round, certificate: certificate.cert });
        samples.push({ ...sample, server: name });
        const figure =
          sample.p99Ms === undefined ? `${sample.cpuUs.toFixed(2)} µs` : `p99 ${sample.p99Ms.toFixed(2)} ms`;
        console.error(`round ${round + 1}/${rounds} ${cell.name} ${name}: ${figure}, load ${loadAverage()}`);
      }
    }
  }
}

function report(): void {
  const machine = { cpu: `${cpus().length} x ${cpus()[0]?.model}`, loadBefore, loadAfter: loadAverage() };
  const software = candidates.map(({ name }) => ({ name, software: servers.get(name)?.software ?? "" }));
  if (values.json) {
    console.log(JSON.stringify({ machine, software, rounds, durationMs, samples }, null, 2));
    return;
  }
  const names = candidates.map(({ name }) => name);
  console.log(`${machine.cpu}; load average ${loadBefore} before, ${machine.loadAfter} after`);
  console.log(`${rounds} rounds of ${durationMs / 1000} s; median [min–max]\n`);
  console.log(`${toMarkdown(samples, chosenCells, names)}\n\n${toRatios(samples, chosenCells, names, ours)}\n`);
  for (const { name, software: made } of software) console.log(`${name}: ${made}`);
}

function node(name: string, file: string): Candidate {
  return { name, command: [process.execPath, join(compiledServers, file)], tlsArguments: [] };
}

function also(text: string): Candidate {
  const [name, command] = [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1).trim()];
  if (!text.includes("=") || name === "" || command === "") fail(`--also is ${text}; it must be NAME=COMMAND`);
  return { name, command: ["sh", "-c", `exec ${command}`] };
}

function chosen<Item extends Cell | Candidate>(flag: string, text: string | undefined, all: readonly Item[]): Item[] {
  if (text === undefined) return [...all];
  const names = text.split(",");
  const known = all.map(({ name }) => name);
  const strange = names.find((name) => !known.includes(name));
  if (strange !== undefined) fail(`${flag} has ${strange}; there are ${known.join(", ")}`);
  return all.filter(({ name }) => names.includes(name));
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  return fail(`${flag} is ${text}; it must be a number above 0`);
}

function fail(sentence: string): never {
  console.error(sentence);
  process.exit(2);
}
