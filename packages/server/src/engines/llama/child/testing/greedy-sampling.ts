import { greedySampling } from "../../../../engine/testing/sampling.ts";
import type { ChildSampling } from "../../ipc.ts";

/** Greedy sampling as it crosses to the child, changed as asked. Without a bound on tokens. */
export function greedyChildSampling(changes: Partial<ChildSampling> = {}): ChildSampling {
  const { constraint: _, ...sampling } = greedySampling({ maxTokens: undefined });
  return { ...sampling, gbnf: undefined, ...changes };
}
