import { readdirSync, readFileSync } from "node:fs";
import { readProcessStat } from "./process-identity.ts";

/** Descendants that are not looked for beyond this, so that a machine full of processes costs a bounded time. */
const maxProcesses = 1024;

/**
 * The processes below `vllm serve` that compute: engine cores and their workers. The program itself only watches over
 * them, and Python's resource tracker only tidies up, so a stopped one of these says nothing. Linux only; elsewhere, and
 * for a program without children, the program itself.
 */
export function computeProcesses(launcherPid: number): readonly number[] {
  const found: number[] = [];
  const open = [launcherPid];
  for (let pid = open.pop(); pid !== undefined && found.length < maxProcesses; pid = open.pop()) {
    for (const child of childrenOf(pid)) {
      open.push(child);
      if (!isResourceTracker(child) && readProcessStat(child)?.state !== "Z") found.push(child);
    }
  }
  return found.length === 0 ? [launcherPid] : found.sort((a, b) => a - b);
}

/** From `/proc/PID/task/TID/children`: each thread has those that it started. */
function childrenOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  try {
    return readdirSync(tasks).flatMap((task) => numbersIn(`${tasks}/${task}/children`));
  } catch {
    return [];
  }
}

function numbersIn(path: string): number[] {
  try {
    return readFileSync(path, "latin1").split(" ").filter(Boolean).map(Number);
  } catch {
    // The thread has ended since it was listed.
    return [];
  }
}

function isResourceTracker(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("multiprocessing.resource_tracker");
  } catch {
    return true;
  }
}
