/** A text for the thread, with a number that comes back with its answer. */
export interface ToTokenizer {
  readonly call: number;
  readonly text: string;
}

export type FromTokenizer =
  | { readonly t: "ids"; readonly call: number; readonly tokenIds: Uint32Array }
  | { readonly t: "failed"; readonly call: number; readonly reason: string };

export interface TokenizerWorkerData {
  /** The model's folder. */
  readonly folder: string;
}
