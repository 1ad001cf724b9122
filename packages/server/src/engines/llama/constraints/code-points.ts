/** Inclusive ranges of code points, sorted, disjoint and not adjacent. Never contains NUL or a surrogate. */
export type CodePointSet = readonly (readonly [low: number, high: number])[];

/**
 * Every code point that a model can write: all but the surrogates, which UTF-8 does not have, and NUL, which llama.cpp
 * reads as the end of a token.
 */
export const ANY_CODE_POINT: CodePointSet = [
  [0x01, 0xd7ff],
  [0xe000, 0x10ffff],
];

/** Makes a set of ranges in any order, which may overlap. What is outside of `ANY_CODE_POINT` is left out. */
export function codePointSet(ranges: Iterable<readonly [number, number]>): CodePointSet {
  return intersection(normalized(ranges), ANY_CODE_POINT);
}

/** The code points of a text, as a set. */
export function codePointsOf(text: string): CodePointSet {
  return codePointSet(Array.from(text, (char) => [codePointAt(char), codePointAt(char)] as const));
}

export function union(...sets: readonly CodePointSet[]): CodePointSet {
  return sets.length === 1 && sets[0] !== undefined ? sets[0] : normalized(sets.flat());
}

export function intersection(left: CodePointSet, right: CodePointSet): CodePointSet {
  const result: [number, number][] = [];
  let index = 0;
  for (const [low, high] of left) {
    while (index > 0 && (right[index - 1]?.[1] ?? -1) >= low) index--;
    for (; index < right.length; index++) {
      const range = right[index];
      if (range === undefined || range[0] > high) break;
      if (range[1] >= low) result.push([Math.max(low, range[0]), Math.min(high, range[1])]);
    }
  }
  return result;
}

/** What a model can write and `set` does not have. */
export function complement(set: CodePointSet): CodePointSet {
  const result: [number, number][] = [];
  let next = 0;
  for (const [low, high] of set) {
    if (low > next) result.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= 0x10ffff) result.push([next, 0x10ffff]);
  return intersection(result, ANY_CODE_POINT);
}

export function difference(left: CodePointSet, right: CodePointSet): CodePointSet {
  return intersection(left, complement(right));
}

export function contains(set: CodePointSet, codePoint: number): boolean {
  let from = 0;
  let to = set.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    const range = set[middle];
    if (range === undefined) return false;
    if (codePoint < range[0]) to = middle;
    else if (codePoint > range[1]) from = middle + 1;
    else return true;
  }
  return false;
}

/** The same text for equal sets. */
export function setKey(set: CodePointSet): string {
  return set.map(([low, high]) => `${low}-${high}`).join(",");
}

/** The code point at the start of `text`; `text` is not empty. */
export function codePointAt(text: string): number {
  return text.codePointAt(0) ?? 0;
}

function normalized(ranges: Iterable<readonly [number, number]>): CodePointSet {
  const sorted = [...ranges].filter(([low, high]) => low <= high).sort((a, b) => a[0] - b[0]);
  const result: [number, number][] = [];
  for (const [low, high] of sorted) {
    const last = result.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else result.push([low, high]);
  }
  return result;
}
