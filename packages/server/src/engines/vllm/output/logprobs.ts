import type { OutputLogprobs, PromptLogprobs, TopLogprobs } from "../../../engine/output.ts";

/**
 * Logprobs as vLLM sends them: a table with a row for each position. Column 0 is the token that stands there (sampled, or of
 * the prompt), the columns after it are the k best, best first. Rows lie one after the other.
 */
export interface LogprobTable {
  readonly rows: number;
  readonly columns: number;
  readonly tokenIds: ArrayLike<number>;
  readonly logprobs: ArrayLike<number>;
}

/** The logprobs of a delta's first `count` tokens; undefined when the engine sent too few rows, which no honest one does. */
export function outputLogprobsOf(table: LogprobTable, count: number): OutputLogprobs | undefined {
  if (table.rows < count || table.columns < 1) return undefined;
  const tokenLogprobs: number[] = [];
  const top: TopLogprobs[] = [];
  for (let row = 0; row < count; row++) {
    tokenLogprobs.push(Number(table.logprobs[row * table.columns]));
    top.push(topOf(table, row));
  }
  return { tokenLogprobs, top };
}

/** Gathers the logprobs of a prompt, which come in parts while it is computed. The first token has none. */
export class PromptLogprobsGathering {
  readonly #tokenIds: readonly number[];
  readonly #tokenLogprobs: (number | undefined)[] = [undefined];
  readonly #top: TopLogprobs[] = [{ tokenIds: [], values: [] }];

  constructor(promptTokenIds: readonly number[]) {
    this.#tokenIds = promptTokenIds;
  }

  add(table: LogprobTable): void {
    // What an engine sends beyond the prompt would be held without bound.
    const rows = Math.min(table.rows, this.#tokenIds.length - this.#tokenLogprobs.length);
    for (let row = 0; row < rows; row++) {
      this.#tokenLogprobs.push(Number(table.logprobs[row * table.columns]));
      this.#top.push(topOf(table, row));
    }
  }

  get result(): PromptLogprobs {
    return { tokenIds: this.#tokenIds, tokenLogprobs: this.#tokenLogprobs, top: this.#top };
  }
}

function topOf(table: LogprobTable, row: number): TopLogprobs {
  const tokenIds: number[] = [];
  const values: number[] = [];
  for (let at = row * table.columns + 1; at < (row + 1) * table.columns; at++) {
    tokenIds.push(Number(table.tokenIds[at]));
    values.push(Number(table.logprobs[at]));
  }
  return { tokenIds, values };
}
