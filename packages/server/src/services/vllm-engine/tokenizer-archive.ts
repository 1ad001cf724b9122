import { createHash } from "node:crypto";
import { zip } from "fflate";
import type { TokenizerFile } from "../../engine/facts.ts";

/** A ZIP of tokenizer files as GetTokenizer sends it. */
export interface TokenizerArchive {
  readonly bytes: Uint8Array;
  /** Lower-case hex of the whole archive. */
  readonly sha256: string;
}

/**
 * Packs the files flat, deflated and sorted by name. The same files always give the same bytes: the time stamps are
 * the first that ZIP can write. Large files are compressed on threads of their own.
 */
export async function packTokenizerFiles(files: readonly TokenizerFile[]): Promise<TokenizerArchive> {
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const entries = Object.fromEntries(sorted.map(({ name, bytes }) => [name, bytes]));
  const bytes = await new Promise<Uint8Array>((resolve, reject) => {
    zip(entries, { mtime: new Date(1980, 0, 1), level: 6 }, (error, archive) => {
      if (error) reject(error);
      else resolve(archive);
    });
  });
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}
