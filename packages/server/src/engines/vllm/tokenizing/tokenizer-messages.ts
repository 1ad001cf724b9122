import type { TokenizerFile } from "../../../engine/facts.ts";

/** A text for the thread, with a number that comes back with its answer. */
export interface ToTokenizer {
  readonly call: number;
  readonly text: string;
}

export type FromTokenizer =
  | { readonly t: "ids"; readonly call: number; readonly tokenIds: Uint32Array }
  | { readonly t: "failed"; readonly call: number; readonly reason: string };

export interface TokenizerWorkerData {
  /** The model's folder, for what is not among the files. */
  readonly folder: string;
  /** The model's tokenizer files as they were when the engine started; may be empty. */
  readonly files: readonly TokenizerFile[];
}
