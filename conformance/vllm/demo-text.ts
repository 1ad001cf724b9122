import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../harness/server.ts";

/** A prompt of models/demo/reference with what transformers answers to it. */
export interface Reference {
  readonly kind: "chat" | "plain";
  readonly prompt: string;
  readonly promptIds: readonly number[];
  readonly generatedIds: readonly number[];
  readonly logprobs: readonly number[];
  readonly smallestMargin: number;
  readonly text: string;
}

export function readReferences(): readonly Reference[] {
  const path = join(root, "models", "demo", "reference", "reference-ids.json");
  return JSON.parse(readFileSync(path, "utf8")).prompts;
}

const tokenizer = JSON.parse(readFileSync(join(root, "models", "demo", "hf", "tokenizer.json"), "utf8"));
const special = new Set<number>(tokenizer.added_tokens.map(({ id }: { id: number }) => id));
const pieces = new Map<number, string>(
  Object.entries<number>(tokenizer.model.vocab).map(([piece, id]) => [id, piece] as const),
);

/** Each byte as byte-level BPE writes it: printable ones as themselves, the others from 256 on. */
const byteOf: ReadonlyMap<string, number> = (() => {
  const table = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte += 1) {
    const isPrintable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    table.set(String.fromCodePoint(isPrintable ? byte : next++), byte);
  }
  return table;
})();

/** The text of the demonstration model's tokens, without special ones. */
export function textOf(tokenIds: readonly number[]): string {
  const letters = tokenIds.filter((id) => !special.has(id)).map((id) => pieces.get(id) ?? "");
  return Buffer.from(Array.from(letters.join(""), (letter) => byteOf.get(letter) ?? 63)).toString("utf8");
}
