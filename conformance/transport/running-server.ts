import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { endGroup, startGroup } from "../harness/processes.ts";

/** How a server of this folder is started; sources, so that no build is needed. */
export const serverCommand: readonly string[] = [process.execPath, "--conditions=tokenwire-source"];

export function serverFile(name: string): string {
  return join(import.meta.dirname, name);
}

/** A transport server in a process of its own. */
export interface RunningServer {
  readonly port: number;
  stop(): void;
}

/** Starts `transport-server.ts` and waits until it listens. */
export async function startTransportServer(...files: string[]): Promise<RunningServer> {
  const [command, ...flags] = serverCommand;
  const child = startGroup(command ?? process.execPath, [...flags, serverFile("transport-server.ts"), ...files]);
  if (child.stdout === null || child.pid === undefined) throw new Error("the server could not be started");
  const { pid } = child;
  child.stderr?.pipe(process.stderr);
  const ended = once(child, "close").then(() => {
    throw new Error("the server ended before it listened");
  });
  ended.catch(() => undefined);
  const [line] = await Promise.race([once(createInterface(child.stdout), "line"), ended]);
  return { port: Number(line), stop: () => endGroup(pid) };
}
