import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { endGroup, run, startGroup } from "../../conformance/harness/processes.ts";
import { program } from "../../conformance/harness/tools.ts";
import { goPrograms } from "./go-programs.ts";
import type { Announcement } from "./servers/announce.ts";

/** A server of the comparison. It announces itself, begins SERVING, and changes its status at each SIGUSR2. */
export interface Candidate {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

export interface Workload {
  readonly watchers: number;
  readonly connections: number;
  /** Status changes, one after the other, on one fresh process. */
  readonly changes: number;
  /** Keeps the server on core 0 and the client on core 1, by taskset. */
  readonly pinned: boolean;
}

/** One status change, as watch-client/main.go reports it. */
export interface Change {
  readonly notifyMs: number;
  readonly serverCpuMs: number;
  readonly clientCpuMs: number;
  readonly tally: { readonly once: number; readonly missed: number; readonly repeated: number; readonly wrong: number };
  /** Why the correctness check failed; absent when each watcher heard the change exactly once. */
  readonly problem?: string;
}

export interface Round {
  readonly name: string;
  readonly software: string;
  readonly idleRssKiB: number;
  readonly openRssKiB: number;
  readonly openMs: number;
  readonly changes: readonly Change[];
}

/** Measures one candidate in a fresh process. Rejects when server or client cannot run, and not for missed changes. */
export async function measure(candidate: Candidate, workload: Workload): Promise<Round> {
  const [command, ...args] = onCore(0, workload, [candidate.command, ...candidate.args]);
  const server = startGroup(command, args);
  const { pid } = server;
  try {
    const { port, software } = await announcement(server, candidate.name);
    if (pid === undefined) throw new Error(`${candidate.name} has no process`);
    const flags = [
      `-address=127.0.0.1:${port}`,
      `-pid=${pid}`,
      `-watchers=${workload.watchers}`,
      `-connections=${workload.connections}`,
      `-changes=${workload.changes}`,
    ];
    const [client, ...clientArgs] = onCore(1, workload, [program(goPrograms, "watch-client"), ...flags]);
    const { code, stdout, stderr } = await run(client, clientArgs, { limitMs: 300_000 });
    if (code !== 0) throw new Error(`the client of ${candidate.name} ended with ${code}: ${stderr.trim()}`);
    return { name: candidate.name, software, ...(JSON.parse(stdout) as Omit<Round, "name" | "software">) };
  } finally {
    if (pid !== undefined) endGroup(pid);
  }
}

function onCore(core: number, workload: Workload, command: readonly [string, ...string[]]): [string, ...string[]] {
  return workload.pinned ? ["taskset", "-c", String(core), ...command] : [...command];
}

/** The server's first line. What it prints on standard error is shown. */
function announcement(server: ChildProcess, name: string): Promise<Announcement> {
  server.stderr?.pipe(process.stderr);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`${name} ended with ${code} before it listened`)));
    if (server.stdout === null) return;
    createInterface(server.stdout).once("line", (line) => resolve(JSON.parse(line) as Announcement));
  });
}
