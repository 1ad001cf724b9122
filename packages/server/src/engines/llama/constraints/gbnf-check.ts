import { ConstraintError } from "./constraint-error.ts";
import type { GbnfGrammar } from "./gbnf.ts";
import { printGbnf } from "./gbnf.ts";
import { lower } from "./gbnf-lower.ts";
import { parseGbnf } from "./gbnf-parse.ts";
import { type PlainRule, plainRules } from "./gbnf-rules.ts";
import { MAX_GBNF_BYTES, MAX_LEFT_DEPTH, MAX_LEFT_STEPS } from "./limits.ts";
import { checkLiveStacks } from "./live-stacks.ts";

/**
 * Reads and checks the text of a GBNF grammar, see `parseGbnf` for the syntax and `checkedGbnf` for the checks. Returns
 * the text to give to llama.cpp. Throws `ConstraintError`.
 */
export function checkGbnf(source: string): string {
  return checkedGbnf(parseGbnf(source));
}

/**
 * Prints a grammar for llama.cpp after checking that llama.cpp can take it without harm:
 * - every rule that is used is defined, and `root` is one of them;
 * - no rule comes back to itself before it has consumed something, be it through rules that may be empty (which covers
 *   unbounded repetitions of what may be empty); llama.cpp sees most of these itself, the rest eats its memory;
 * - `root` can come to an end;
 * - size, left depth and cost of llama.cpp's own left recursion check are bounded;
 * - no text is found that leaves more than `MAX_LIVE_STACKS` ways open. This one is a search and no proof.
 *
 * Every grammar that leaves this folder went through here, our own ones too. Throws `ConstraintError`.
 */
export function checkedGbnf(grammar: GbnfGrammar): string {
  const lowered = lower(grammar);
  const { rules, root } = plainRules(lowered);
  checkEnds(rules, root);
  checkLeftEdges(rules, leftEdges(rules, mayBeEmpty(rules)));
  checkLiveStacks(rules, root);
  const text = printGbnf(lowered);
  if (text.length > MAX_GBNF_BYTES) {
    throw new ConstraintError(`becomes a grammar of ${text.length} bytes, and at most ${MAX_GBNF_BYTES} are allowed`);
  }
  return text;
}

/** The numbers of the rules that can match the empty text. */
function mayBeEmpty(rules: readonly PlainRule[]): ReadonlySet<number> {
  return fixpoint(rules, (element, known) => typeof element === "number" && known.has(element));
}

function checkEnds(rules: readonly PlainRule[], root: number): void {
  const ending = fixpoint(rules, (element, known) => typeof element !== "number" || known.has(element));
  if (!ending.has(root)) throw new ConstraintError("matches no finite text: its root rule never comes to an end");
}

/** The rules with an alternative of which every element passes, found from the bottom up, in linear time. */
function fixpoint(
  rules: readonly PlainRule[],
  passes: (element: PlainRule["alternatives"][number][number], known: ReadonlySet<number>) => boolean,
): ReadonlySet<number> {
  const known = new Set<number>();
  const waiting = new Map<number, (() => void)[]>();
  const queue: (() => void)[] = [];
  rules.forEach((rule, number) => {
    for (const alternative of rule.alternatives) {
      let index = 0;
      const advance = (): void => {
        for (; index < alternative.length; index++) {
          const element = alternative[index];
          if (element === undefined || passes(element, known)) continue;
          if (typeof element !== "number") return;
          const waiters = waiting.get(element);
          if (waiters === undefined) waiting.set(element, [advance]);
          else waiters.push(advance);
          return;
        }
        if (known.has(number)) return;
        known.add(number);
        for (const waiter of waiting.get(number) ?? []) queue.push(waiter);
        waiting.delete(number);
      };
      queue.push(advance);
      while (queue.length > 0) queue.pop()?.();
    }
  });
  return known;
}

/** For each rule, the rules that can come first in it, with repetitions as llama.cpp walks them. */
function leftEdges(rules: readonly PlainRule[], empty: ReadonlySet<number>): readonly (readonly number[])[] {
  return rules.map((rule) => {
    const edges: number[] = [];
    for (const alternative of rule.alternatives) {
      for (const element of alternative) {
        if (typeof element !== "number") break;
        edges.push(element);
        if (!empty.has(element)) break;
      }
    }
    return edges;
  });
}

/** Finds left recursion, and what llama.cpp's own search for it would cost, by a depth-first walk without recursion. */
function checkLeftEdges(rules: readonly PlainRule[], edges: readonly (readonly number[])[]): void {
  const depths = new Float64Array(rules.length);
  const costs = new Float64Array(rules.length);
  const onPath = new Uint8Array(rules.length);
  let total = 0;
  for (let start = 0; start < rules.length; start++) {
    if (costs[start] !== 0) continue;
    const path: { rule: number; next: number }[] = [{ rule: start, next: 0 }];
    onPath[start] = 1;
    while (path.length > 0) {
      const frame = path[path.length - 1];
      if (frame === undefined) break;
      const target = edges[frame.rule]?.[frame.next++];
      if (target === undefined) {
        const targets = edges[frame.rule] ?? [];
        const own = rules[frame.rule]?.alternatives.reduce((sum, { length }) => sum + length + 1, 1) ?? 1;
        costs[frame.rule] = targets.reduce((sum, rule) => sum + (costs[rule] ?? 0), own);
        depths[frame.rule] = targets.reduce((most, rule) => Math.max(most, (depths[rule] ?? 0) + 1), 1);
        onPath[frame.rule] = 0;
        path.pop();
      } else if (onPath[target] === 1) {
        const name = rules[target]?.name ?? "";
        throw new ConstraintError(
          `the rule "${name}" comes back to itself before it consumes any text (left recursion)`,
        );
      } else if (costs[target] === 0) {
        onPath[target] = 1;
        path.push({ rule: target, next: 0 });
      }
    }
    // llama.cpp starts once from each rule that no earlier start reached, and remembers nothing within one start.
    total += costs[start] ?? 0;
    if ((depths[start] ?? 0) > MAX_LEFT_DEPTH) {
      throw new ConstraintError(`has more than ${MAX_LEFT_DEPTH} rules that each begin with the next one`);
    }
    if (total > MAX_LEFT_STEPS) {
      throw new ConstraintError(
        "has too many ways to begin: its rules begin with one another in too many combinations",
      );
    }
  }
}
