import { readFileSync } from "node:fs";

/** A process that is told apart from a later one with the same id. It is JSON. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from the machine's start to the process's (proc(5), stat field 22); undefined without `/proc`. */
  readonly startTicks: number | undefined;
  /** Changes with each start of the machine (`/proc/sys/kernel/random/boot_id`). */
  readonly bootId: string | undefined;
}

/** What proc(5) says of a process in its `stat` file. */
export interface ProcessStat {
  /** One letter: R, S, D, T (stopped), Z (ended and not yet reaped), … */
  readonly state: string;
  readonly parentPid: number;
  readonly startTicks: number;
}

/** Undefined when there is no such process, or no `/proc`. */
export function readProcessStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name stands in parentheses and may have spaces and parentheses in it; field 3 follows the last one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", parentPid: Number(fields[1]), startTicks: Number(fields[19]) };
}

/** Undefined when the process is gone already. */
export function identify(pid: number): ProcessIdentity | undefined {
  if (!answersSignals(pid)) return undefined;
  return { pid, startTicks: readProcessStat(pid)?.startTicks, bootId: readBootId() };
}

/** True while this very process runs; a zombie does not. */
export function isRunning(identity: ProcessIdentity): boolean {
  if (!answersSignals(identity.pid)) return false;
  const stat = readProcessStat(identity.pid);
  if (stat === undefined || identity.startTicks === undefined) return identity.startTicks === undefined;
  return stat.state !== "Z" && stat.startTicks === identity.startTicks && readBootId() === identity.bootId;
}

/** True when another process has the id by now. */
export function isReplaced(identity: ProcessIdentity): boolean {
  const stat = readProcessStat(identity.pid);
  if (stat === undefined) return false;
  return stat.startTicks !== identity.startTicks || readBootId() !== identity.bootId;
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it is there and somebody else's.
    return thrown instanceof Error && "code" in thrown && thrown.code === "EPERM";
  }
}

function readBootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return undefined;
  }
}
