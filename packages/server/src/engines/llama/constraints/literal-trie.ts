import type { Automaton, AutomatonEdge } from "./automaton.ts";
import { ANY_CODE_POINT, codePointAt, codePointSet, complement } from "./code-points.ts";

interface TrieState {
  end: boolean;
  readonly next: Map<number, number>;
}

/** The deterministic automaton of a list of texts: their tree of prefixes. */
export function literalTrie(texts: Iterable<string>): Automaton {
  return {
    states: trieOf(texts).map(({ end, next }) => ({ accepting: end, edges: edgesOf(next) })),
  };
}

/** The deterministic automaton of all texts but those of the list. */
export function allButLiterals(texts: Iterable<string>): Automaton {
  const trie = trieOf(texts);
  const free = trie.length;
  const states = trie.map(({ end, next }) => {
    const others = complement(codePointSet(Array.from(next.keys(), (codePoint) => [codePoint, codePoint] as const)));
    return { accepting: !end, edges: [...edgesOf(next), { set: others, to: free }] };
  });
  return { states: [...states, { accepting: true, edges: [{ set: ANY_CODE_POINT, to: free }] }] };
}

function trieOf(texts: Iterable<string>): TrieState[] {
  const root: TrieState = { end: false, next: new Map() };
  const states = [root];
  for (const text of texts) {
    let state = root;
    for (const char of text) {
      const codePoint = codePointAt(char);
      const number = state.next.get(codePoint) ?? states.length;
      state.next.set(codePoint, number);
      state = states[number] ?? { end: false, next: new Map() };
      states[number] = state;
    }
    state.end = true;
  }
  return states;
}

function edgesOf(next: ReadonlyMap<number, number>): AutomatonEdge[] {
  return Array.from(next, ([codePoint, to]) => ({ set: codePointSet([[codePoint, codePoint]]), to }));
}
