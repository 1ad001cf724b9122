import { type CodePointSet, contains } from "./code-points.ts";
import { ConstraintError } from "./constraint-error.ts";
import type { PlainRule } from "./gbnf-rules.ts";
import { LIVE_STACK_SEARCH_STEPS, MAX_LIVE_STACKS } from "./limits.ts";

/** A stack of llama.cpp: the element to match next, and where to go on afterwards. Interned: equal stacks are one object. */
interface Stack {
  readonly id: number;
  /** Place of the element within all elements of the grammar. */
  readonly place: number;
  readonly below: Stack | undefined;
}

/** The ways that are open after some text: one stack each, and possibly the end. */
interface Open {
  readonly stacks: readonly Stack[];
  readonly text: string;
}

const BEAM_WIDTH = 6;
const MAX_TEXT_LENGTH = 400;
const MAX_STARTS = 64;
/** Ways that are open at a time before the search is worth its whole share of steps; without them it gets a sixth. */
const SUSPICIOUS_STACKS = 16;

/**
 * Plays llama.cpp's matching (`llama_grammar_advance_stack` and `llama_grammar_accept`, with its removal of equal stacks)
 * and looks for a text after which more than `MAX_LIVE_STACKS` ways to go on are open: from the root and from rules in
 * recursion, it follows the characters that leave the most ways open, and a few others. A grammar such as
 * `s ::= "a" s "b" | "a" s "c" | "x"` doubles them with each character, which costs llama.cpp all memory.
 *
 * What it reports is certain (the text is in the message). What it does not find in `LIVE_STACK_SEARCH_STEPS` steps is
 * let through, so that the cost here is bounded: a grammar made to mislead the search can pass. Throws `ConstraintError`.
 */
export function checkLiveStacks(rules: readonly PlainRule[], root: number): void {
  const machine = new StackMachine(rules);
  const starts = [root, ...recursiveRules(rules).filter((rule) => rule !== root)].slice(0, MAX_STARTS);
  starts.forEach((start, index) => {
    // The root gets half, the others share what is left.
    const left = LIVE_STACK_SEARCH_STEPS - machine.steps;
    const found = search(machine, start, index === 0 ? left / 2 : left / (starts.length - index));
    if (found === undefined) return;
    const after = found === "" ? "at the start" : `after ${JSON.stringify(found.slice(0, 80))}`;
    const where = start === root ? after : `${after} of the rule "${rules[start]?.name}"`;
    throw new ConstraintError(
      `leaves more than ${MAX_LIVE_STACKS} ways to go on open at the same time (${where}); make its alternatives differ earlier`,
    );
  });
}

/** A text after which too many ways are open, or undefined where none is found. */
function search(machine: StackMachine, start: number, share: number): string | undefined {
  const firstStep = machine.steps;
  let steps = share / 6;
  const first = machine.start(start);
  if (first === undefined) return "";
  let beam: Open[] = [{ stacks: first, text: "" }];
  const seen = new Set<string>();
  for (let length = 0; length < MAX_TEXT_LENGTH && beam.length > 0; length++) {
    const next: Open[] = [];
    for (const open of beam) {
      for (const char of machine.promisingChars(open.stacks, widthFor(open))) {
        if (machine.steps - firstStep >= steps) return undefined;
        const text = open.text + String.fromCodePoint(char);
        const stacks = machine.accept(open.stacks, char);
        if (stacks === undefined) return text;
        const key = stackSetKey(stacks);
        if (stacks.length === 0 || seen.has(key)) continue;
        seen.add(key);
        if (stacks.length >= SUSPICIOUS_STACKS) steps = share;
        next.push({ stacks, text });
      }
    }
    next.sort((a, b) => b.stacks.length - a.stacks.length);
    const [widest] = next;
    if (widest === undefined) return undefined;
    // Most of the beam goes where it is widest; one place goes to the narrowest, against decoys.
    const width = widthFor(widest);
    beam = [...next.slice(0, width), ...(next.length > width && width > 1 ? next.slice(-1) : [])];
  }
  return undefined;
}

/** How many texts to follow at a time: fewer where each costs more, so that the steps suffice for a doubling to show. */
function widthFor({ stacks }: Open): number {
  return stacks.length >= 64 ? 1 : stacks.length >= 16 ? 2 : BEAM_WIDTH;
}

function stackSetKey(stacks: readonly Stack[]): string {
  return stacks
    .map(({ id }) => id)
    .sort((a, b) => a - b)
    .join();
}

class StackMachine {
  /** Stacks made or looked at so far. */
  steps = 0;
  readonly #elements: (CodePointSet | number | undefined)[] = [];
  readonly #alternatives: number[][] = [];
  readonly #interned = new Map<number, Map<number, Stack>>();
  #stacks = 0;

  constructor(rules: readonly PlainRule[]) {
    for (const rule of rules) {
      this.#alternatives.push(
        rule.alternatives.map((elements) => {
          const place = this.#elements.length;
          for (const element of elements) this.#elements.push(element);
          this.#elements.push(undefined);
          return place;
        }),
      );
    }
  }

  /** The ways that are open at the start of a rule, without what would follow the rule. Undefined: too many. */
  start(rule: number): Stack[] | undefined {
    return this.#opened((this.#alternatives[rule] ?? []).map((place) => this.#pushed(place, undefined)));
  }

  /** The ways that are open after one more code point. Undefined: too many. */
  accept(stacks: readonly Stack[], char: number): Stack[] | undefined {
    const after: (Stack | undefined)[] = [];
    for (const stack of stacks) {
      const element = this.#elements[stack.place];
      if (element !== undefined && typeof element !== "number" && contains(element, char)) {
        after.push(this.#pushed(stack.place + 1, stack.below));
      }
    }
    this.steps += stacks.length;
    return this.#opened(after);
  }

  /** The `count` code points that the most stacks accept, and (where there is room) the one that the fewest do. */
  promisingChars(stacks: readonly Stack[], count: number): number[] {
    const counts = new Map<number, number>();
    for (const { place } of stacks) {
      const element = this.#elements[place];
      if (element === undefined || typeof element === "number") continue;
      for (const [low] of element.slice(0, 8)) counts.set(low, 0);
      if (counts.size > 64) break;
    }
    this.steps += stacks.length;
    for (const char of counts.keys()) {
      for (const { place } of stacks) {
        const element = this.#elements[place];
        if (element === undefined || typeof element === "number" || !contains(element, char)) continue;
        counts.set(char, (counts.get(char) ?? 0) + 1);
      }
    }
    const sorted = [...counts].sort((a, b) => b[1] - a[1]).map(([char]) => char);
    return sorted.length <= count || count === 1
      ? sorted.slice(0, count)
      : [...sorted.slice(0, count - 1), ...sorted.slice(-1)];
  }

  /** Replaces references by what they stand for, until each stack has a set of code points on top. */
  #opened(stacks: readonly (Stack | undefined)[]): Stack[] | undefined {
    const todo = [...stacks];
    const seen = new Set<number>();
    const result: Stack[] = [];
    for (let stack = todo.pop(); todo.length > 0 || stack !== undefined; stack = todo.pop()) {
      if (stack === undefined || seen.has(stack.id)) continue;
      seen.add(stack.id);
      this.steps++;
      const element = this.#elements[stack.place];
      if (typeof element === "number") {
        const below = this.#pushed(stack.place + 1, stack.below);
        for (const place of this.#alternatives[element] ?? []) todo.push(this.#pushed(place, below));
      } else result.push(stack);
      if (result.length > MAX_LIVE_STACKS || seen.size > 8 * MAX_LIVE_STACKS) return undefined;
    }
    return result;
  }

  /** A stack with `place` on top, or what is below where the alternative ends there. */
  #pushed(place: number, below: Stack | undefined): Stack | undefined {
    if (this.#elements[place] === undefined) return below;
    const belowId = below?.id ?? 0;
    let stacks = this.#interned.get(place);
    if (stacks === undefined) {
      stacks = new Map();
      this.#interned.set(place, stacks);
    }
    let stack = stacks.get(belowId);
    if (stack === undefined) {
      stack = { id: ++this.#stacks, place, below };
      stacks.set(belowId, stack);
    }
    return stack;
  }
}

/** Rules that can come back to themselves other than by their last element, where stacks grow; one of each loop. */
function recursiveRules(rules: readonly PlainRule[]): number[] {
  const found: number[] = [];
  const state = new Uint8Array(rules.length);
  const edges = rules.map((rule) => [
    ...new Set(rule.alternatives.flatMap((elements) => elements.filter((element) => typeof element === "number"))),
  ]);
  const tailOnly = rules.map((rule, number) =>
    rule.alternatives.every((elements) => elements.slice(0, -1).every((element) => element !== number)),
  );
  for (let start = 0; start < rules.length; start++) {
    if (state[start] !== 0) continue;
    const path: { rule: number; next: number }[] = [{ rule: start, next: 0 }];
    state[start] = 1;
    while (path.length > 0) {
      const frame = path[path.length - 1];
      if (frame === undefined) break;
      const target = edges[frame.rule]?.[frame.next++];
      if (target === undefined) {
        state[frame.rule] = 2;
        path.pop();
      } else if (state[target] === 1) {
        if (target !== frame.rule || tailOnly[target] === false) found.push(target);
      } else if (state[target] === 0) {
        state[target] = 1;
        path.push({ rule: target, next: 0 });
      }
    }
  }
  return [...new Set(found)];
}
