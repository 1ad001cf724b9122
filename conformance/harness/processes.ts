import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

/** What a program that ran to its end has said. `code` is null when a signal or the time limit ended it. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const groups = new Set<number>();

// A test run that is stopped from outside must leave nothing behind either.
process.on("exit", () => {
  for (const pid of groups) killGroup(pid, "SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(1));

/** Starts a program as the leader of its own process group, so that {@link endGroup} reaches its children too. */
export function startGroup(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
  stdin: "ignore" | "pipe" = "ignore",
): ChildProcess {
  const child = spawn(command, args, { env: environment, detached: true, stdio: [stdin, "pipe", "pipe"] });
  const { pid } = child;
  if (pid !== undefined) groups.add(pid);
  return child;
}

/** True while any process of the group lives. */
export function groupLives(pid: number): boolean {
  return killGroup(pid, 0);
}

/** Ends what is left of a group at once. */
export function endGroup(pid: number): void {
  killGroup(pid, "SIGKILL");
  groups.delete(pid);
}

/** Waits until the child has ended and its output is read; false when it still runs after the limit. */
export async function ended(child: ChildProcess, limitMs: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return true;
  const limit = new AbortController();
  try {
    return await Promise.race([
      once(child, "close", { signal: limit.signal }).then(() => true),
      sleep(limitMs, false, { signal: limit.signal }),
    ]);
  } finally {
    limit.abort();
  }
}

/** Runs a program to its end. It is killed with all its children after `limitMs` (default 60 s). */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly environment?: NodeJS.ProcessEnv; readonly limitMs?: number } = {},
): Promise<Ended> {
  const child = startGroup(command, args, options.environment);
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  try {
    const { code } = await new Promise<{ code: number | null }>((resolve, reject) => {
      const limit = setTimeout(() => endGroup(child.pid ?? 0), options.limitMs ?? 60_000);
      child.on("error", reject);
      child.on("close", (exitCode) => {
        clearTimeout(limit);
        resolve({ code: exitCode });
      });
    });
    return { code, stdout, stderr };
  } finally {
    if (child.pid !== undefined) endGroup(child.pid);
  }
}

function killGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  if (pid <= 0) return false;
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}
