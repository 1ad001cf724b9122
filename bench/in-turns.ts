import { cpus, loadavg } from "node:os";
import { run } from "../conformance/harness/processes.ts";

/** The items with another one first each round, so that a disturbance or a place in the order hits all alike. */
export function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

/** Whether a server and its client can be kept on cores of their own. */
export async function canPin(): Promise<boolean> {
  if (cpus().length < 2) return false;
  try {
    return (await run("taskset", ["--version"])).code === 0;
  } catch {
    return false;
  }
}

/** The load average over one minute, as tables show it. */
export function loadAverage(): string {
  return (loadavg()[0] ?? 0).toFixed(2);
}
