import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { endGroup, run, startGroup } from "../../conformance/harness/processes.ts";
import { program } from "../../conformance/harness/tools.ts";
import type { Announcement } from "../watchers/servers/announce.ts";
import type { Cell } from "./cells.ts";
import { goPrograms } from "./programs.ts";

/** A server of the comparison. It announces itself as one line of JSON. */
export interface Candidate {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** What makes it speak TLS; undefined when it cannot. */
  readonly tlsArguments?: readonly string[];
}

export interface RunningServer {
  readonly name: string;
  readonly port: number;
  readonly software: string;
  readonly pid: number;
  stop(): void;
}

/** What one cell measured of one server. */
export interface Sample {
  readonly server: string;
  readonly cell: string;
  readonly round: number;
  /** Server CPU per operation; of all threads. */
  readonly cpuUs: number;
  readonly perSecond: number;
  /** Of Check, in cells with a probe. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

interface Run {
  readonly durationMs: number;
  /** For servers that speak TLS: what the client trusts. */
  readonly certificate: string;
}

interface ClientResult {
  readonly operations: number;
  readonly serverCpuMs: number;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const clientLimitMs = 120_000;

/** Starts a server on core 0. Rejects when it ends before it listens. */
export async function startServer({ name, command }: Candidate, args: readonly string[]): Promise<RunningServer> {
  const child = startGroup("taskset", ["-c", "0", ...command, ...args], { ...process.env, GOMAXPROCS: "1" });
  const { pid } = child;
  const stop = (): void => {
    if (pid !== undefined) endGroup(pid);
  };
  try {
    const { port, software } = await announcement(child, name);
    if (pid === undefined) throw new Error(`${name} has no process`);
    return { name, port, software, pid, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

/** Runs one cell against a server, the client on core 1. Rejects when an answer was wrong. */
export async function measure(
  server: RunningServer,
  cell: Cell,
  options: Run & { readonly round: number },
): Promise<Sample> {
  const common = runFlags(server, cell, options);
  const base = { server: server.name, cell: cell.name, round: options.round };
  if (cell.probed !== true) {
    const { operations, serverCpuMs, elapsedMs } = await client(server, [...cell.flags, ...common]);
    return { ...base, cpuUs: (serverCpuMs * 1000) / operations, perSecond: (operations * 1000) / elapsedMs };
  }
  const load = startGroup("taskset", onCore1([...cell.flags, ...common, `-duration=${clientLimitMs}ms`]));
  try {
    const probe = client(server, ["-mode=probe", "-warm=1500ms", ...common]);
    const ended = once(load, "exit").then(() => Promise.reject(new Error(`the load on ${server.name} ended early`)));
    const result = await Promise.race([probe, ended]);
    return { ...base, cpuUs: Number.NaN, perSecond: Number.NaN, p50Ms: result.p50Ms, p99Ms: result.p99Ms };
  } finally {
    load.removeAllListeners("exit");
    if (load.pid !== undefined) endGroup(load.pid);
  }
}

/**
 * Lets a server run what a cell asks for: a runtime that compiles while it runs is hot after it. Where it is paced, ten times as
 * fast and in short streams, so that beginning one is hot, too: streams that begin slowly begin in different milliseconds, and
 * their timers wake the server apart from each other for as long as they run.
 */
export async function warmUp(server: RunningServer, cell: Cell, options: Run): Promise<void> {
  const [pace] = cell.flags.flatMap((flag) => /^-(?:interval|step)-ms=/.exec(flag) ?? []);
  const hurried = pace === undefined ? [] : ["-messages=100", `${pace}1`];
  // Of a flag that stands twice the last one counts.
  await client(server, [...cell.flags, ...hurried, ...runFlags(server, cell, options)]);
}

/** Flags of the load client that say whom it asks, how, and for how long. */
function runFlags(server: RunningServer, { tls }: Cell, { durationMs, certificate }: Run): string[] {
  const place = [`-address=127.0.0.1:${server.port}`, `-pid=${server.pid}`, `-duration=${durationMs}ms`];
  return tls ? [...place, `-certificate=${certificate}`] : place;
}

function onCore1(flags: readonly string[]): readonly string[] {
  return ["-c", "1", program(goPrograms), ...flags];
}

async function client(server: RunningServer, flags: readonly string[]): Promise<ClientResult> {
  const { code, stdout, stderr } = await run("taskset", onCore1(flags), { limitMs: clientLimitMs });
  if (code !== 0) throw new Error(`the client of ${server.name} ended with ${code}: ${stderr.trim()}`);
  return JSON.parse(stdout) as ClientResult;
}

/** The server's first line. What it prints on standard error is shown. */
function announcement(server: ChildProcess, name: string): Promise<Announcement> {
  server.stderr?.pipe(process.stderr);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`${name} ended with ${code} before it listened`)));
    if (server.stdout === null) return;
    createInterface(server.stdout).once("line", (line) => {
      try {
        resolve(JSON.parse(line) as Announcement);
      } catch {
        reject(new Error(`${name} does not announce itself as JSON but as: ${line}`));
      }
    });
  });
}
