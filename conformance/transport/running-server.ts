import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { endGroup, startGroup } from "../harness/processes.ts";
import type { Report } from "./counting-server.ts";

/** How a server of this folder is started; sources, so that no build is needed. */
export const serverCommand: readonly string[] = [process.execPath, "--conditions=tokenwire-source"];

export function serverFile(name: string): string {
  return join(import.meta.dirname, name);
}

/** A server of this folder in a process of its own. */
export interface RunningServer {
  readonly port: number;
  /** Asks the server for the next line of its output. */
  ask(): Promise<string>;
  stop(): void;
}

/** Starts `transport-server.ts` and waits until it listens. */
export function startTransportServer(...files: string[]): Promise<RunningServer> {
  return start([...serverCommand, serverFile("transport-server.ts"), ...files]);
}

/** A running `counting-server.ts`. */
export interface CountingServer extends RunningServer {
  report(): Promise<Report>;
  /** Resolves with a report that says so; rejects with the last one when it does not within ten seconds. */
  until(holds: (report: Report) => boolean, what: string): Promise<Report>;
}

/** Starts `counting-server.ts` and waits until it listens. */
export async function startCountingServer(...args: string[]): Promise<CountingServer> {
  const server = await start([...serverCommand, "--expose-gc", serverFile("counting-server.ts"), ...args]);
  const report = async (): Promise<Report> => JSON.parse(await server.ask());
  return {
    ...server,
    report,
    async until(holds, what) {
      const giveUpAtMs = performance.now() + 10_000;
      for (;;) {
        const last = await report();
        if (holds(last)) return last;
        if (performance.now() > giveUpAtMs) throw new Error(`${what}: ${JSON.stringify(last)}`);
      }
    },
  };
}

async function start([command = process.execPath, ...args]: readonly string[]): Promise<RunningServer> {
  const child = startGroup(command, args, process.env, "pipe");
  const { pid, stdin, stdout } = child;
  if (stdin === null || stdout === null || pid === undefined) throw new Error("the server could not be started");
  child.stderr?.pipe(process.stderr);
  const lines = createInterface(stdout);
  const ended = once(child, "close").then(() => {
    throw new Error("the server ended before it answered");
  });
  ended.catch(() => undefined);
  const nextLine = async (): Promise<string> => (await Promise.race([once(lines, "line"), ended]))[0];
  const port = Number(await nextLine());
  return {
    port,
    ask() {
      const answer = nextLine();
      stdin.write("\n");
      return answer;
    },
    stop: () => endGroup(pid),
  };
}
