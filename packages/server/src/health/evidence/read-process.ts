import { readFileSync } from "node:fs";

/** A process at one moment. */
export interface ProcessSample {
  readonly pid: number;
  /** The letter of proc_pid_stat(5): R, S, D, T (stopped), t (traced), Z … */
  readonly state: string;
  /** CPU time since its start, all threads, user and system. */
  readonly cpuMs: number;
}

/** Linux counts in USER_HZ, which is 100 on every architecture that we run on. */
const msPerTick = 10;

/** Reads /proc/PID/stat; undefined where there is none: another system, a process that is gone, no permission. */
export function readProcess(pid: number): ProcessSample | undefined {
  try {
    return parseProcessStat(pid, readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return undefined;
  }
}

/** Reads the text of /proc/PID/stat (proc_pid_stat(5)): field 3 is the state, 14 and 15 are the CPU times. */
export function parseProcessStat(pid: number, text: string): ProcessSample | undefined {
  // Field 2 is the program's name in parentheses and may hold spaces and parentheses itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const state = fields[0] ?? "";
  return state === "" || Number.isNaN(ticks) ? undefined : { pid, state, cpuMs: ticks * msPerTick };
}
