/**
 * What a gRPC front end of vLLM's EngineCore costs per token: the same mock engine in front of tokenwire and of the
 * Rust servicer in the wheel `smg`, and of vLLM's Python front end where vLLM is installed, in turns. Linux, Go,
 * Python 3.11 and Node 24. From the repository's root:
 *
 *     npx node --conditions=tokenwire-source bench/front-end/front-end.ts [--rounds 5] [--quick]
 *         [--only "256 paced"] [--front-end smg] [--vllm FOLDER_OF_VLLM_ENVIRONMENT] [--no-pin] [--json]
 *
 * The engine makes a step each 10 ms ("paced", the shape of real decoding) or without a pause ("flood"). The front end
 * is kept on core 0, engine and client on core 1, and each has served about a million tokens of a flood before. CPU is that of all threads of the front end. Each stream's tokens
 * are counted; a stream that brings another number ends the run with 1.
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { run } from "../../conformance/harness/processes.ts";
import { ensureInstalled, program } from "../../conformance/harness/tools.ts";
import { canPin, loadAverage, rotated } from "../in-turns.ts";
import { type Candidate, RunningFrontEnd, rustServicer, tokenwire, vllmPython } from "./candidates.ts";
import { type Cell, type Round, toMarkdown } from "./report.ts";
import { loadClient, python } from "./tools.ts";

const { values } = parseArgs({
  allowNegative: true,
  options: {
    rounds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    "front-end": { type: "string" },
    vllm: { type: "string" },
    pin: { type: "boolean", default: true },
    json: { type: "boolean", default: false },
  },
});
const rounds = values.quick ? 1 : Number(values.rounds);
if (!Number.isSafeInteger(rounds) || rounds < 1) {
  console.error(`--rounds is ${values.rounds}; it must be a whole number of at least 1`);
  process.exit(2);
}
const tokens = values.quick ? 50 : 300;
const model = join(import.meta.dirname, "..", "..", "models", "demo", "hf");

const allCells: readonly Cell[] = [
  { name: "32 paced streams, 4 connections", streams: 32, connections: 4, tokens, pace: "paced" },
  { name: "256 paced streams, 4 connections", streams: 256, connections: 4, tokens, pace: "paced" },
  { name: "256 paced streams, 1 connection", streams: 256, connections: 1, tokens, pace: "paced" },
  { name: "32 streams, flood, 4 connections", streams: 32, connections: 4, tokens: tokens * 5, pace: "flood" },
  { name: "256 streams, flood, 4 connections", streams: 256, connections: 4, tokens: tokens * 5, pace: "flood" },
  {
    name: "one stream of one token after the other",
    streams: 300,
    connections: 1,
    tokens: 1,
    pace: "flood",
    sequential: true,
  },
];
const warmUps: readonly Cell[] = [256, 32, 256, 32].map((streams) => ({
  name: "warm-up",
  streams,
  connections: 4,
  tokens: values.quick ? 250 : 1900,
  pace: "flood",
}));
const { only } = values;
const cells = only === undefined ? allCells : allCells.filter(({ name }) => name.includes(only));
if (cells.length === 0) {
  console.error(`--only ${only} names no cell; there are: ${allCells.map(({ name }) => name).join("; ")}`);
  process.exit(2);
}

const allCandidates: readonly Candidate[] = [
  rustServicer,
  tokenwire("tokenwire", model),
  ...(values.vllm === undefined ? [] : [vllmPython(values.vllm, model)]),
];

const wanted = values["front-end"];
const candidates = wanted === undefined ? allCandidates : allCandidates.filter(({ name }) => name.includes(wanted));
if (candidates.length === 0) {
  console.error(`--front-end ${wanted} names none; there are: ${allCandidates.map(({ name }) => name).join("; ")}`);
  process.exit(2);
}

await ensureInstalled(loadClient);
await ensureInstalled(python);
const pinned = values.pin && (await canPin());
const loadBefore = loadAverage();
const running: RunningFrontEnd[] = [];
const results = new Map<Cell, Map<string, Round[]>>(
  cells.map((cell) => [cell, new Map(candidates.map(({ name }) => [name, []]))]),
);
const failures: string[] = [];
try {
  for (const candidate of candidates) {
    const frontEnd = await RunningFrontEnd.start(candidate, pinned, serves);
    running.push(frontEnd);
    // A server is measured as it is after a minute of work, and not while its runtime compiles.
    await frontEnd.setPace("flood");
    for (const cell of warmUps) await play(cell, frontEnd);
    console.error(`${candidate.name} serves and is warm`);
  }
  for (let number = 0; number < rounds; number++) {
    for (const cell of cells) {
      for (const frontEnd of rotated(running, number)) {
        await frontEnd.setPace(cell.pace);
        const round = await play(cell, frontEnd);
        failures.push(...round.failures.map((failure) => `${frontEnd.name}, ${cell.name}: ${failure}`));
        results.get(cell)?.get(frontEnd.name)?.push(round);
        const cost = ((round.serverCpuSeconds * 1e6) / round.tokens).toFixed(1);
        console.error(`round ${number + 1}/${rounds} ${cell.name}: ${frontEnd.name} ${cost} µs per token`);
      }
    }
  }
} finally {
  for (const frontEnd of running) frontEnd.stop();
}

const machine = `${cpus().length} x ${cpus()[0]?.model}; Node ${process.versions.node}; ${
  pinned ? "front end on core 0, engine and client on core 1" : "not pinned"
}; load average ${loadBefore} before, ${loadAverage()} after`;
if (values.json) {
  const told = [...results].map(([cell, byName]) => ({ cell, rounds: Object.fromEntries(byName) }));
  console.log(JSON.stringify({ machine, results: told, failures }, null, 2));
} else {
  console.log(`${rounds} rounds, median [min–max]\n${machine}\n`);
  for (const [cell, byName] of results) console.log(`${toMarkdown(cell, byName)}\n`);
}
for (const failure of failures) console.error(`FAILED ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;

async function play(cell: Cell, frontEnd: RunningFrontEnd): Promise<Round> {
  const flags = clientFlags(frontEnd.port, frontEnd.pid, cell.streams, cell.connections, cell.tokens);
  const { code, stdout, stderr } = await client([...flags, ...(cell.sequential === true ? ["-sequential"] : [])]);
  if (code !== 0) throw new Error(`${frontEnd.name}, ${cell.name}: ${stderr}`);
  return JSON.parse(stdout) as Round;
}

/** Whether a first stream comes whole. */
async function serves(port: number): Promise<boolean> {
  const { code, stdout } = await client(clientFlags(port, process.pid, 1, 1, 1));
  return code === 0 && (JSON.parse(stdout) as Round).failures.length === 0;
}

function client(flags: readonly string[]): ReturnType<typeof run> {
  const words = [program(loadClient), ...flags];
  const [command = "", ...args] = pinned ? ["taskset", "-c", "1", ...words] : words;
  return run(command, args, { limitMs: 120_000 });
}

function clientFlags(
  port: number,
  pid: number,
  streams: number,
  connections: number,
  tokensPerStream: number,
): readonly string[] {
  const load = ["-streams", String(streams), "-connections", String(connections), "-tokens", String(tokensPerStream)];
  return ["-addr", `127.0.0.1:${port}`, "-pid", String(pid), ...load];
}
