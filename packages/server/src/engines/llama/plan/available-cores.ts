import { availableParallelism } from "node:os";
import { cgroupFolders, positiveNumber, type ReadText, readMachineText } from "./cgroup.ts";

/**
 * Cores that this process may keep busy: what the scheduler allows it (`os.availableParallelism`), and never more than
 * the whole cores of the CPU quota of its container. At least 1. Reads `cpu.max` of cgroup v2 and `cpu.cfs_quota_us`
 * with `cpu.cfs_period_us` of v1.
 */
export function availableCores(
  read: ReadText = readMachineText,
  schedulableCores: number = availableParallelism(),
): number {
  const { v2, v1 } = cgroupFolders("cpu", read);
  const quotas = [
    ...v2.map((folder) => {
      const [quota, period] = (read(`${folder}/cpu.max`) ?? "").trim().split(/\s+/);
      return share(positiveNumber(quota), positiveNumber(period));
    }),
    ...v1.map((folder) =>
      share(positiveNumber(read(`${folder}/cpu.cfs_quota_us`)), positiveNumber(read(`${folder}/cpu.cfs_period_us`))),
    ),
  ].filter((quota) => quota !== undefined);
  return Math.max(1, Math.floor(Math.min(schedulableCores, ...quotas)));
}

function share(quota: number | undefined, period: number | undefined): number | undefined {
  return quota === undefined || period === undefined ? undefined : quota / period;
}
