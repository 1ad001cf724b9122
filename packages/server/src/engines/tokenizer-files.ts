import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../engine/errors.ts";
import type { TokenizerFile } from "../engine/facts.ts";

/** Clients of GetTokenizer take 200 MiB and 50 files; three places are kept for the files that are made. */
const maxBytes = 200 * 1024 * 1024;
const maxFiles = 47;

const knownNames: ReadonlySet<string> = new Set([
  "tokenizer.json",
  "tokenizer_config.json",
  "config.json",
  "generation_config.json",
  "special_tokens_map.json",
  "vocab.json",
  "merges.txt",
  "tokenizer.model",
  "tiktoken.model",
  "chat_template.json",
  "preprocessor_config.json",
  "processor_config.json",
  "video_preprocessor_config.json",
]);
const knownEndings = [".tiktoken", ".jinja", ".model"] as const;

/**
 * The tokenizer files in a folder by the names that GetTokenizer knows, sorted. Throws failed-precondition when they are
 * more or larger than a client takes (47 files, 200 MiB), or cannot be read. With `needed` there are none without the
 * file of this name.
 */
export async function readTokenizerFiles(folder: string, needed?: string): Promise<readonly TokenizerFile[]> {
  try {
    const names = (await readdir(folder)).filter((name) => isTokenizerFile(name)).sort();
    if (needed !== undefined && !names.includes(needed)) return [];
    const files: TokenizerFile[] = [];
    let total = 0;
    for (const name of names) {
      const { size, ...kind } = await fileSize(join(folder, name));
      if (!kind.isFile) continue;
      total += size;
      if (total > maxBytes || files.length === maxFiles) {
        throw new EngineError(
          "failed-precondition",
          `The tokenizer files in ${folder} are more than ${maxFiles} files or ${maxBytes} bytes, which is what clients take; move those that do not belong to the model.`,
        );
      }
      files.push({ name, bytes: await readFile(join(folder, name)) });
    }
    return files;
  } catch (thrown) {
    if (thrown instanceof EngineError) throw thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new EngineError("failed-precondition", `The tokenizer files in ${folder} cannot be read: ${reason}.`, {
      cause: thrown,
    });
  }
}

function isTokenizerFile(name: string): boolean {
  return knownNames.has(name) || knownEndings.some((ending) => name.endsWith(ending));
}

async function fileSize(path: string): Promise<{ size: number; isFile: boolean }> {
  const stats = await stat(path);
  return { size: stats.size, isFile: stats.isFile() };
}
