import type { Automaton, AutomatonEdge } from "./automaton.ts";
import { type CodePointSet, codePointAt, codePointSet, setKey } from "./code-points.ts";
import { ConstraintError } from "./constraint-error.ts";
import type { GbnfNode } from "./gbnf.ts";
import { MAX_NFA_EDGES, MAX_NFA_STATES } from "./limits.ts";
import type { Work } from "./work.ts";

/** A nondeterministic automaton with empty transitions (Thompson's construction). */
export interface Nfa {
  readonly start: number;
  readonly accept: number;
  /** Empty transitions of each state. */
  readonly empty: readonly (readonly number[])[];
  /** The one transition of a state that consumes a code point. Equal sets are the same object. */
  readonly edges: readonly (AutomatonEdge | undefined)[];
}

/** Builds the automaton of a node without references. Throws `ConstraintError` beyond `MAX_NFA_STATES` states. */
export function buildNfa(node: GbnfNode, work: Work): Nfa {
  const states = stateCount(node) + 2;
  if (states > MAX_NFA_STATES) {
    throw new ConstraintError(
      `is too large: with its repetitions written out it has more than ${MAX_NFA_STATES} states`,
    );
  }
  work.spend(states);
  const builder = new NfaBuilder();
  const start = builder.state();
  const accept = builder.state();
  builder.connect(node, start, accept);
  return { start, accept, empty: builder.empty, edges: builder.edges };
}

/** An upper bound of the states that `connect` makes, before any is made. */
function stateCount(node: GbnfNode): number {
  switch (node.kind) {
    case "literal":
      return node.text.length;
    case "set":
      return 1;
    case "sequence":
      return node.items.reduce((sum, item) => sum + stateCount(item) + 1, 0);
    case "alternatives":
      return node.options.reduce((sum, option) => sum + stateCount(option) + 1, 0);
    case "repeat":
      return (stateCount(node.item) + 2) * (node.max ?? node.min + 1);
    case "reference":
      throw new Error("a regular expression has no references");
  }
}

class NfaBuilder {
  readonly empty: number[][] = [];
  readonly edges: (AutomatonEdge | undefined)[] = [];
  readonly #sets = new Map<string, CodePointSet>();

  state(): number {
    this.empty.push([]);
    this.edges.push(undefined);
    return this.edges.length - 1;
  }

  /** Lets what `node` matches lead from one state to the other. */
  connect(node: GbnfNode, from: number, to: number): void {
    switch (node.kind) {
      case "literal": {
        let at = from;
        for (const char of node.text) at = this.#consumed(at, codePointSet([[codePointAt(char), codePointAt(char)]]));
        this.#skip(at, to);
        return;
      }
      case "set":
        this.#skip(this.#consumed(from, node.set), to);
        return;
      case "sequence": {
        let at = from;
        for (const item of node.items) at = this.#matched(item, at);
        this.#skip(at, to);
        return;
      }
      case "alternatives":
        for (const option of node.options) {
          const start = this.state();
          this.#skip(from, start);
          this.connect(option, start, to);
        }
        return;
      case "repeat": {
        let at = from;
        for (let count = 0; count < node.min; count++) at = this.#matched(node.item, at);
        if (node.max === undefined) {
          const loop = this.state();
          this.#skip(at, loop);
          const again = this.state();
          this.#skip(loop, again);
          this.connect(node.item, again, loop);
          at = loop;
        } else {
          for (let count = node.min; count < node.max; count++) {
            this.#skip(at, to);
            const start = this.state();
            this.#skip(at, start);
            at = this.#matched(node.item, start);
          }
        }
        this.#skip(at, to);
        return;
      }
      case "reference":
        throw new Error("a regular expression has no references");
    }
  }

  #matched(node: GbnfNode, from: number): number {
    const to = this.state();
    this.connect(node, from, to);
    return to;
  }

  #skip(from: number, to: number): void {
    this.empty[from]?.push(to);
  }

  /** Adds the transition, from a new state where `from` has one already. */
  #consumed(from: number, set: CodePointSet): number {
    const key = setKey(set);
    const shared = this.#sets.get(key) ?? set;
    this.#sets.set(key, shared);
    let source = from;
    if (this.edges[from] !== undefined) {
      source = this.state();
      this.#skip(from, source);
    }
    const to = this.state();
    this.edges[source] = { set: shared, to };
    return to;
  }
}

/** The states reachable from `states` without consuming anything that have a transition or are the end, in order. */
export function emptyClosure(nfa: Nfa, states: Iterable<number>, work: Work): number[] {
  const seen = new Set(states);
  const queue = [...seen];
  const result: number[] = [];
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    if (nfa.edges[state] !== undefined || state === nfa.accept) result.push(state);
    for (const next of nfa.empty[state] ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      queue.push(next);
    }
  }
  work.spend(seen.size);
  return result.sort((a, b) => a - b);
}

/**
 * The same automaton without empty transitions, still nondeterministic. Throws `ConstraintError` beyond `MAX_NFA_EDGES`
 * transitions.
 */
export function withoutEmpty(nfa: Nfa, work: Work): Automaton {
  const numbers = new Map<number, number>([[nfa.start, 0]]);
  const states: { accepting: boolean; edges: AutomatonEdge[] }[] = [];
  let edgeCount = 0;
  // The map grows while it is walked.
  for (const [state] of numbers) {
    const closure = emptyClosure(nfa, [state], work);
    const edges: AutomatonEdge[] = [];
    for (const member of closure) {
      const edge = nfa.edges[member];
      if (edge === undefined) continue;
      if (++edgeCount > MAX_NFA_EDGES) {
        throw new ConstraintError("is too large: too many repetitions can follow one another");
      }
      const to = numbers.get(edge.to) ?? numbers.size;
      numbers.set(edge.to, to);
      edges.push({ set: edge.set, to });
    }
    states.push({ accepting: closure.includes(nfa.accept), edges });
  }
  return { states };
}
