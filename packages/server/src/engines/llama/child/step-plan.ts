import type { OutputSequence } from "./output-sequence.ts";

/** A sequence's share of one step: `tokens` go to the cells from position `first` on. */
export interface StepShare {
  readonly sequence: OutputSequence;
  readonly first: number;
  readonly tokens: Uint32Array;
  /** True when the last token of the share gives the next token to sample. */
  readonly samples: boolean;
}

/**
 * Divides one step's token budget: first a token for every sequence that decodes, then prompt chunks in the order in
 * which the sequences were admitted.
 *
 * A long prompt is so computed over several steps while the others go on decoding.
 *
 * @param budgetTokens at least the number of sequences.
 */
export function planStep(running: readonly OutputSequence[], budgetTokens: number): StepShare[] {
  const decoding = running.filter((sequence) => !sequence.prefilling);
  const shares = decoding.map((sequence) => share(sequence, 1));
  let left = budgetTokens - shares.length;
  for (const sequence of running) {
    if (left <= 0) break;
    if (!sequence.prefilling) continue;
    const chunk = share(sequence, Math.min(left, sequence.promptLength - sequence.computed));
    shares.push(chunk);
    left -= chunk.tokens.length;
  }
  return shares;
}

function share(sequence: OutputSequence, count: number): StepShare {
  const first = sequence.computed;
  const tokens = Uint32Array.from(sequence.tokens.slice(first, first + count));
  return { sequence, first, tokens, samples: first + count === sequence.tokens.length };
}
