/** One way to do the same work. `run` answers something that depends on the work, so that it cannot be left out. */
export interface Candidate {
  readonly name: string;
  readonly run: () => number;
}

export interface Measurement {
  readonly name: string;
  /** Nanoseconds per call, one figure per round. */
  readonly rounds: readonly number[];
}

/**
 * Measures candidates against one another on a machine that others use too: every round runs each of them for about
 * `sliceMs`, in a rotating order, so that a disturbance hits all of them alike.
 */
export function measure(candidates: readonly Candidate[], rounds: number, sliceMs: number): readonly Measurement[] {
  const calls = candidates.map((candidate) => callsFor(candidate, sliceMs));
  const figures = candidates.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < candidates.length; turn++) {
      const i = (round + turn) % candidates.length;
      const candidate = candidates[i];
      if (candidate !== undefined) figures[i]?.push(nsPerCall(candidate, calls[i] ?? 1));
    }
  }
  return candidates.map(({ name }, i) => ({ name, rounds: figures[i] ?? [] }));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

let sink = 0;

function nsPerCall({ run }: Candidate, calls: number): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) sink = (sink + run()) | 0;
  return Number(process.hrtime.bigint() - start) / calls;
}

/** Warms a candidate up and finds how many calls fill a slice. */
function callsFor(candidate: Candidate, sliceMs: number): number {
  let calls = 1000;
  for (;;) {
    const tookMs = (nsPerCall(candidate, calls) * calls) / 1e6;
    if (tookMs >= sliceMs) return calls;
    calls *= 2;
  }
}
