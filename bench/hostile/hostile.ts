/**
 * Plays hostile clients against @tokenwire/grpc with its default limits and prints what each costs: the table of
 * docs/security.md. Linux, Node 24. From the repository's root:
 *
 *     npx node --conditions=tokenwire-source bench/hostile/hostile.ts [--seconds 4] [--rounds 3] [--only TEXT] [--no-pin]
 *
 * Each attack meets a fresh server, `--rounds` times: memory is the most that was seen, other figures are those of
 * the round in which the machine was quietest, which is the one with the lowest p99 without the attack.
 * For two seconds, and then for `--seconds` of the attack, another client asks Check each 5 ms on four connections of
 * its own: the table has its p99 without and with the attack. The server is kept on core 0; the attacker, at the lowest
 * priority, and the other client on core 1, when the machine has `taskset`.
 */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { defaultLimits } from "@tokenwire/grpc";
import { endGroup, run, startGroup } from "../../conformance/harness/processes.ts";
import type { Outcome } from "./attacker.ts";
import { type Attack, attacks } from "./attacks.ts";
import { HonestClient, percentile } from "./honest-client.ts";
import { limitText } from "./limit-text.ts";

const baselineMs = 2_000;
const sampleMs = 50;

const { values } = parseArgs({
  allowNegative: true,
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    pin: { type: "boolean", default: true },
  },
});
const seconds = Number(values.seconds);
if (!(seconds > 0)) {
  console.error(`--seconds is ${values.seconds}; it must be a number above 0`);
  process.exit(1);
}
const rounds = Number(values.rounds);
if (!(Number.isInteger(rounds) && rounds > 0)) {
  console.error(`--rounds is ${values.rounds}; it must be a whole number above 0`);
  process.exit(1);
}
const { only } = values;
const chosen = attacks.filter(({ name }) => only === undefined || name.includes(only));
const isPinned =
  values.pin && cpus().length > 1 && (await run("taskset", ["--version"]).catch(() => undefined))?.code === 0;
const here = import.meta.dirname;

console.log(
  "| attack | bound | what became of it | RSS, MiB: before, peak | server CPU | Check p99, ms: without, during | test |",
);
console.log("| --- | --- | --- | ---: | ---: | ---: | --- |");
for (const attack of chosen) {
  const all: Round[] = [];
  for (let left = rounds; left > 0; left -= 1) all.push(await measure(attack));
  console.log(toRow(attack, all));
}
const machine = `${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}, ${isPinned ? "pinned" : "not pinned"}`;
console.log(
  `\n${machine}, load average ${loadavg()
    .map((load) => load.toFixed(1))
    .join(" ")}`,
);

/** One attack on one server. */
interface Round {
  readonly outcome: Outcome;
  readonly rssBeforeMiB: number;
  readonly rssPeakMiB: number;
  /** Of one core. */
  readonly cpuShare: number;
  readonly p99WithoutMs: number;
  readonly p99DuringMs: number;
  readonly failedShare: number;
}

async function measure(attack: Attack): Promise<Round> {
  const [command, ...args] = onCore(0, [process.execPath, "--conditions=tokenwire-source", join(here, "server.ts")]);
  const server = startGroup(command, args);
  const { pid } = server;
  if (pid === undefined) throw new Error("the server has no process");
  const port = await firstLine(server);
  const honest = new HonestClient(Number(port));
  try {
    await sleep(baselineMs);
    // What ran on cold code does not count.
    honest.take();
    await sleep(baselineMs);
    const before = honest.take();
    const cpuBeforeMs = cpuMs(pid);
    const rssBeforeMiB = rssMiB(pid);
    const startedAtMs = performance.now();
    const sampler = watchRss(pid);
    const outcome = await attackIt(attack.name, port);
    const rssPeakMiB = sampler();
    const cpuShare = (cpuMs(pid) - cpuBeforeMs) / (performance.now() - startedAtMs);
    const during = honest.take();
    return {
      outcome,
      rssBeforeMiB,
      rssPeakMiB,
      cpuShare,
      p99WithoutMs: percentile(before.latenciesMs, 99),
      p99DuringMs: percentile(during.latenciesMs, 99),
      failedShare: during.failures / (during.failures + during.latenciesMs.length),
    };
  } finally {
    honest.close();
    endGroup(pid);
  }
}

function toRow({ name, limits, test }: Attack, all: readonly Round[]): string {
  const [quietest] = all.toSorted((a, b) => a.p99WithoutMs - b.p99WithoutMs);
  if (quietest === undefined) return "";
  const { outcome, rssBeforeMiB, cpuShare, p99WithoutMs, p99DuringMs, failedShare } = quietest;
  const bounds = limits.map((limit) => `\`${limit}\` (${limitText(limit, defaultLimits[limit])})`).join(", ");
  const rss = `${rssBeforeMiB.toFixed(0)}, ${Math.max(...all.map((round) => round.rssPeakMiB)).toFixed(0)}`;
  const cpu = `${(100 * cpuShare).toFixed(0)} %`;
  const failures = failedShare === 0 ? "" : `; ${(100 * failedShare).toFixed(1)} % failed`;
  const p99 = `${p99WithoutMs.toFixed(1)}, ${p99DuringMs.toFixed(1)}${failures}`;
  return `| ${[name, bounds, toWords(outcome), rss, cpu, p99, test].join(" | ")} |`;
}

async function attackIt(name: string, port: string): Promise<Outcome> {
  const ms = String(seconds * 1_000);
  const attacker = [process.execPath, "--conditions=tokenwire-source", join(here, "attacker.ts"), port, name, ms];
  const [command, ...args] = onCore(1, ["nice", "-n", "19", ...attacker]);
  const { code, stdout, stderr } = await run(command, args, { limitMs: seconds * 1_000 + 60_000 });
  if (code !== 0) throw new Error(`the attack "${name}" ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Outcome;
}

function toWords({ connections, ended }: Outcome): string {
  const reasons = Object.entries(ended).toSorted(([, a], [, b]) => b - a);
  const all = reasons.reduce((sum, [, count]) => sum + count, 0);
  const [first] = reasons;
  if (first === undefined) return `${count(connections)} held`;
  return `${count(all)} of ${count(connections)} ended: ${first[0]}`;
}

function count(connections: number): string {
  return connections === 1 ? "1 connection" : connections.toLocaleString("en");
}

function onCore(core: number, command: readonly [string, ...string[]]): [string, ...string[]] {
  return isPinned ? ["taskset", "-c", String(core), ...command] : [...command];
}

function firstLine(server: ChildProcess): Promise<string> {
  server.stderr?.pipe(process.stderr);
  return new Promise((resolve, reject) => {
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    if (server.stdout !== null) createInterface(server.stdout).once("line", resolve);
  });
}

/** Time on a core so far, of all threads (proc(5), fields 14 and 15, in hundredths of a second). */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Looks at the resident memory now and then; the answer ends it and is the most that was seen. */
function watchRss(pid: number): () => number {
  let most = rssMiB(pid);
  const look = (): void => {
    most = Math.max(most, rssMiB(pid));
  };
  const timer = setInterval(look, sampleMs);
  return () => {
    clearInterval(timer);
    look();
    return most;
  };
}

function rssMiB(pid: number): number {
  const line = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0) / 1024;
}
