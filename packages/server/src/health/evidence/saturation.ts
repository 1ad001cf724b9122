import type { EngineLoad } from "../../engine/facts.ts";

/** How many requests wait for a slot, over all ranks. */
export interface SaturationEvidence {
  readonly waitingRequests: number;
}

/** Collects the last loads. */
export class SaturationCollector {
  #waitingRequests = 0;

  observe(loads: readonly EngineLoad[]): void {
    this.#waitingRequests = loads.reduce((sum, load) => sum + load.waitingRequests, 0);
  }

  get evidence(): SaturationEvidence {
    return { waitingRequests: this.#waitingRequests };
  }
}
