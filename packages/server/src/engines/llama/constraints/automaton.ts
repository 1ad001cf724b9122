import type { CodePointSet } from "./code-points.ts";

/** An automaton over code points without empty transitions. It may be nondeterministic (edges of a state overlap). */
export interface Automaton {
  /** The start is state 0. */
  readonly states: readonly AutomatonState[];
}

interface AutomatonState {
  readonly accepting: boolean;
  readonly edges: readonly AutomatonEdge[];
}

export interface AutomatonEdge {
  readonly set: CodePointSet;
  readonly to: number;
}

/** Leaves out the states from which no text is accepted. Undefined where the start is one of them. */
export function trimmed(automaton: Automaton): Automaton | undefined {
  const sources = automaton.states.map((): number[] => []);
  automaton.states.forEach((state, index) => {
    for (const { to } of state.edges) sources[to]?.push(index);
  });
  const alive = new Uint8Array(automaton.states.length);
  const queue = automaton.states.flatMap((state, index) => (state.accepting ? [index] : []));
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    if (alive[state] === 1) continue;
    alive[state] = 1;
    for (const source of sources[state] ?? []) queue.push(source);
  }
  if (alive[0] !== 1) return undefined;
  return {
    states: automaton.states.map(({ accepting, edges }) => ({
      accepting,
      edges: edges.filter(({ to }) => alive[to] === 1),
    })),
  };
}
