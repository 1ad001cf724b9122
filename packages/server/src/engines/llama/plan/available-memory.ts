import { freemem } from "node:os";
import { cgroupFolders, positiveNumber, type ReadText, readMachineText } from "./cgroup.ts";

/**
 * Memory in bytes that this process can take without swapping: what the machine has left (`os.freemem`, on Linux
 * MemAvailable), and never more than the limits of its container leave. File cache that the kernel can drop counts as
 * free. Reads `memory.max`, `memory.current` and `memory.stat` of cgroup v2 and their like of v1.
 */
export function availableMemoryBytes(read: ReadText = readMachineText, machineFreeBytes: number = freemem()): number {
  const { v2, v1 } = cgroupFolders("memory", read);
  const left = [
    ...v2.map((folder) => room(read, folder, "memory.max", "memory.current", "inactive_file")),
    ...v1.map((folder) => room(read, folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")),
  ].filter((bytes) => bytes !== undefined);
  return Math.max(0, Math.floor(Math.min(machineFreeBytes, ...left)));
}

function room(
  read: ReadText,
  folder: string,
  limitFile: string,
  usageFile: string,
  droppable: string,
): number | undefined {
  const limit = positiveNumber(read(`${folder}/${limitFile}`));
  const usage = positiveNumber(read(`${folder}/${usageFile}`));
  if (limit === undefined || usage === undefined) return undefined;
  const line = (read(`${folder}/memory.stat`) ?? "").split("\n").find((each) => each.startsWith(`${droppable} `));
  return limit - usage + (positiveNumber(line?.slice(droppable.length)) ?? 0);
}
