import type { Automaton, AutomatonEdge } from "./automaton.ts";
import type { CodePointSet } from "./code-points.ts";
import { alternatives, EMPTY, type GbnfNode, oneOf, reference, sequence } from "./gbnf.ts";
import type { GbnfBuilder } from "./gbnf-builder.ts";

/** The ways to write one code point of a set in the text. */
export type Encoding = (set: CodePointSet) => readonly GbnfNode[];

/**
 * Adds an automaton to a grammar: a rule for each state whose alternatives are its transitions, each ending in the rule of
 * the next state (so no stack grows). A state with one way in and one way out is written into the rule before it.
 */
export function addAutomaton(
  builder: GbnfBuilder,
  automaton: Automaton,
  hint: string,
  encode: Encoding = (set) => [oneOf(set)],
): GbnfNode {
  const { states } = automaton;
  const waysIn = new Uint32Array(states.length);
  waysIn[0] = 1;
  for (const { edges } of states) for (const { to } of edges) waysIn[to] = (waysIn[to] ?? 0) + 1;

  const names = new Map<number, string>();
  const pending: number[] = [];
  const ruleOf = (state: number): string => {
    let name = names.get(state);
    if (name === undefined) {
      name = builder.reserve(hint);
      names.set(state, name);
      pending.push(state);
    }
    return name;
  };
  /** The one way out of a state that needs no rule. */
  const inlined = (state: number): { written: GbnfNode; to: number } | undefined => {
    const [edge, other] = states[state]?.edges ?? [];
    if (waysIn[state] !== 1 || states[state]?.accepting !== false || edge === undefined || other !== undefined) return;
    const [written, otherWriting] = encode(edge.set);
    return written === undefined || otherWriting !== undefined ? undefined : { written, to: edge.to };
  };
  const following = (edge: AutomatonEdge): GbnfNode[] => {
    const items: GbnfNode[] = [];
    let state = edge.to;
    for (let next = inlined(state); next !== undefined; next = inlined(state)) {
      items.push(next.written);
      state = next.to;
    }
    const { accepting, edges } = states[state] ?? { accepting: true, edges: [] };
    return accepting && edges.length === 0 ? items : [...items, reference(ruleOf(state))];
  };

  const start = ruleOf(0);
  for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
    const { accepting, edges } = states[state] ?? { accepting: true, edges: [] };
    const options: GbnfNode[] = accepting ? [EMPTY] : [];
    for (const edge of edges) {
      const writings = encode(edge.set);
      // What follows is written once where there are several ways to write the code point.
      const rest = writings.length > 1 ? [reference(ruleOf(edge.to))] : following(edge);
      for (const written of writings) options.push(sequence([written, ...rest]));
    }
    builder.define(names.get(state) ?? start, alternatives(options));
  }
  return reference(start);
}
