import { type Automaton, trimmed } from "./automaton.ts";
import { addAutomaton } from "./automaton-grammar.ts";
import { ConstraintError } from "./constraint-error.ts";
import type { GbnfGrammar, GbnfNode } from "./gbnf.ts";
import { GbnfBuilder } from "./gbnf-builder.ts";
import { MAX_COUNTING_DFA_STATES, MAX_OPEN_STATES } from "./limits.ts";
import { determinized, type LengthLimits } from "./regex-dfa.ts";
import { buildNfa, withoutEmpty } from "./regex-nfa.ts";
import { parseRegex } from "./regex-parse.ts";
import { Work } from "./work.ts";

/**
 * The grammar of the texts that a regular expression matches as a whole, see `parseRegex` for the syntax. Throws
 * `ConstraintError`.
 */
export function regexGrammar(source: string): GbnfGrammar {
  const builder = new GbnfBuilder();
  const root = builder.reserve("root");
  builder.define(root, addAutomaton(builder, automatonOf(parseRegex(source), new Work()), "s"));
  return builder.grammar();
}

/**
 * The automaton of a node without references: deterministic where that stays small, otherwise (as for
 * `.{0,200}a.{0,200}`, which has to count twice) nondeterministic, with many ways open at a time. Limits of length need the
 * deterministic one. Throws `ConstraintError` where it is too large or matches nothing.
 */
export function automatonOf(node: GbnfNode, work: Work, lengths?: LengthLimits): Automaton {
  const nfa = buildNfa(node, work);
  const deterministic = determinized(nfa, work, lengths);
  if (deterministic === undefined && lengths !== undefined) {
    throw new ConstraintError(`needs more than ${MAX_COUNTING_DFA_STATES} states together with the limits of length`);
  }
  const chosen = deterministic ?? withoutEmpty(nfa, work);
  if (deterministic === undefined && chosen.states.length > MAX_OPEN_STATES) {
    throw new ConstraintError(
      `is too large: it can leave more than ${MAX_OPEN_STATES} ways to go on open at the same time`,
    );
  }
  const automaton = trimmed(chosen);
  if (automaton === undefined) throw new ConstraintError("matches no text");
  return automaton;
}
