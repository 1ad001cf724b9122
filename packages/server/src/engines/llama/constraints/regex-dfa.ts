import type { Automaton, AutomatonEdge } from "./automaton.ts";
import { type CodePointSet, union } from "./code-points.ts";
import { MAX_COUNTING_DFA_STATES, MAX_DFA_STATES, MAX_DFA_STEPS } from "./limits.ts";
import { emptyClosure, type Nfa } from "./regex-nfa.ts";
import type { Work } from "./work.ts";

/** How many code points a text may have. */
export interface LengthLimits {
  readonly min: number;
  readonly max: number | undefined;
}

interface Subset {
  readonly members: readonly number[];
  /** Code points so far, up to the number from which on it makes no difference. */
  readonly length: number;
}

/**
 * Makes an automaton deterministic (subset construction), and keeps only texts of the given length. Returns undefined
 * where that takes too many states (see `limits.ts`) or more than `MAX_DFA_STEPS` steps. With it llama.cpp has one way open at a time.
 */
export function determinized(
  nfa: Nfa,
  work: Work,
  lengths: LengthLimits = { min: 0, max: undefined },
): Automaton | undefined {
  const mostSteps = work.spent + MAX_DFA_STEPS;
  const atoms = alphabet(nfa, work, mostSteps);
  if (atoms === undefined) return undefined;
  const mostStates =
    lengths.min > 0 || lengths.max !== undefined
      ? MAX_COUNTING_DFA_STATES
      : Math.max(MAX_DFA_STATES, 2 * nfa.edges.length);
  const lastLength = Math.max(lengths.min, lengths.max ?? 0);
  const subsets: Subset[] = [];
  const numbers = new Map<string, number>();
  const numberOf = (members: readonly number[], length: number): number => {
    const key = `${length}:${members.join()}`;
    let number = numbers.get(key);
    if (number === undefined) {
      number = subsets.length;
      numbers.set(key, number);
      subsets.push({ members, length });
    }
    return number;
  };
  numberOf(emptyClosure(nfa, [nfa.start], work), 0);

  const states: { accepting: boolean; edges: AutomatonEdge[] }[] = [];
  for (const { members, length } of subsets) {
    const accepting = members.includes(nfa.accept) && length >= lengths.min;
    const nextLength = Math.min(length + 1, lastLength);
    const full = lengths.max !== undefined && length >= lengths.max;
    const targets = new Map<number, Set<number>>();
    for (const member of full ? [] : members) {
      const edge = nfa.edges[member];
      if (edge === undefined) continue;
      const atomsOfEdge = atoms.of(edge.set);
      work.spend(atomsOfEdge.length);
      if (work.spent > mostSteps) return undefined;
      for (const atom of atomsOfEdge) {
        const known = targets.get(atom);
        if (known === undefined) targets.set(atom, new Set([edge.to]));
        else known.add(edge.to);
      }
    }
    const grouped = new Map<string, { targets: Set<number>; sets: CodePointSet[] }>();
    for (const [atom, to] of targets) {
      const key = [...to].sort((a, b) => a - b).join();
      const group = grouped.get(key) ?? { targets: to, sets: [] };
      grouped.set(key, group);
      group.sets.push(atoms.sets[atom] ?? []);
      work.spend(to.size);
    }
    // Different targets can have the same closure, so edges are joined once more.
    const edges = new Map<number, CodePointSet[]>();
    for (const { targets: to, sets } of grouped.values()) {
      if (work.spent > mostSteps) return undefined;
      const closure = emptyClosure(nfa, to, work);
      const number = numberOf(closure, nextLength);
      edges.set(number, [...(edges.get(number) ?? []), ...sets]);
    }
    states.push({ accepting, edges: Array.from(edges, ([to, sets]) => ({ to, set: union(...sets) })) });
    if (subsets.length > mostStates || work.spent > mostSteps) return undefined;
  }
  return { states };
}

interface Alphabet {
  readonly sets: readonly CodePointSet[];
  /** The numbers of the classes that a set of the automaton consists of. */
  of(set: CodePointSet): readonly number[];
}

/** Cuts the code points into classes that no set of the automaton tells apart. Undefined where that is too much work. */
function alphabet(nfa: Nfa, work: Work, mostSteps: number): Alphabet | undefined {
  const sets = [...new Set(nfa.edges.flatMap((edge) => (edge === undefined ? [] : [edge.set])))];
  const starts = new Map<number, number[]>();
  const ends = new Map<number, number[]>();
  sets.forEach((set, index) => {
    for (const [low, high] of set) {
      append(starts, low, index);
      append(ends, high + 1, index);
    }
  });
  const cuts = [...new Set([...starts.keys(), ...ends.keys()])].sort((a, b) => a - b);
  const open = new Set<number>();
  const ranges = new Map<string, { members: number[]; ranges: [number, number][] }>();
  for (const [index, low] of cuts.entries()) {
    for (const set of ends.get(low) ?? []) open.delete(set);
    for (const set of starts.get(low) ?? []) open.add(set);
    const next = cuts[index + 1];
    if (open.size === 0 || next === undefined) continue;
    work.spend(open.size);
    if (work.spent > mostSteps) return undefined;
    const members = [...open].sort((a, b) => a - b);
    const key = members.join();
    const atom = ranges.get(key) ?? { members, ranges: [] };
    ranges.set(key, atom);
    atom.ranges.push([low, next - 1]);
  }
  const atomsOfSet = new Map<CodePointSet, number[]>(sets.map((set) => [set, []]));
  const atoms = [...ranges.values()];
  atoms.forEach((atom, number) => {
    for (const member of atom.members) {
      const set = sets[member];
      if (set !== undefined) atomsOfSet.get(set)?.push(number);
    }
  });
  return { sets: atoms.map((atom) => atom.ranges), of: (set) => atomsOfSet.get(set) ?? [] };
}

function append(lists: Map<number, number[]>, key: number, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
