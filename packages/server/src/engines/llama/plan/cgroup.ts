import { readFileSync } from "node:fs";
import { posix } from "node:path";

/** Gives the text of a small file, or undefined when it is absent or unreadable. */
export type ReadText = (path: string) => string | undefined;

/** Reads from the machine. */
export const readMachineText: ReadText = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

const root = "/sys/fs/cgroup";

/**
 * The folders with the limits of `controller` that bind this process, its own group first and then each group above,
 * for cgroup v2 and v1. A container often sees its own group as the root and the host's path in /proc/self/cgroup, so
 * folders that do not exist may be among them. Source: Linux cgroups(7).
 */
export function cgroupFolders(controller: "cpu" | "memory", read: ReadText): { v2: string[]; v1: string[] } {
  const v2: string[] = [];
  const v1: string[] = [];
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [id, controllers = "", ...rest] = line.split(":");
    const path = rest.join(":");
    if (!path.startsWith("/")) continue;
    if (id === "0" && controllers === "") v2.push(...withAncestors(root, path));
    if (controllers.split(",").includes(controller)) {
      v1.push(...withAncestors(`${root}/${controller}`, path));
      if (controllers !== controller) v1.push(...withAncestors(`${root}/${controllers}`, path));
    }
  }
  return { v2, v1 };
}

/** The number in a file of one number; undefined for `max`, `-1` and anything else. */
export function positiveNumber(text: string | undefined): number | undefined {
  const value = Number((text ?? "").trim() || Number.NaN);
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

function withAncestors(mount: string, path: string): string[] {
  const folders: string[] = [];
  for (let current = posix.normalize(path); ; current = posix.dirname(current)) {
    folders.push(current === "/" ? mount : mount + current);
    if (current === "/") return folders;
  }
}
