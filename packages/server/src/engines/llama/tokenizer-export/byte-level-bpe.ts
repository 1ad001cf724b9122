import { type GgufHeader, getString, getStringArray } from "../gguf/gguf-header.ts";
import { cannotExport } from "./cannot-export.ts";
import type { Json } from "./json.ts";
import { preTokenizer, preTokenizerJson } from "./pre-tokenizers.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * The parts of tokenizer.json for a byte-level BPE (`tokenizer.ggml.model` = `gpt2`). No normalizer: llama.cpp has
 * none either, so that a text gives the same ids here and there.
 *
 * Throws failed-precondition when `tokenizer.ggml.pre` is not known, or the merges are missing.
 */
export function byteLevelBpe(header: GgufHeader, vocabulary: Vocabulary): Readonly<Record<string, Json>> {
  const name = getString(header, "tokenizer.ggml.pre") ?? "";
  const words = preTokenizer(name);
  if (words === undefined) {
    throw cannotExport(header.path, `its pre-tokenizer ${JSON.stringify(name.slice(0, 80))} is not known here`);
  }
  const merges = getStringArray(header, "tokenizer.ggml.merges");
  if (merges === undefined) throw cannotExport(header.path, "it holds no merges");
  return {
    normalizer: null,
    pre_tokenizer: preTokenizerJson(words.patterns),
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: words.ignoresMerges,
      vocab: Object.fromEntries(vocabulary.idOf),
      merges: mergePairs(merges, vocabulary),
    },
  };
}

/** Loaders refuse a whole tokenizer for one merge of texts that are no tokens, so those are left out. */
function mergePairs(merges: readonly string[], { idOf }: Vocabulary): readonly [string, string][] {
  const pairs: [string, string][] = [];
  for (const merge of merges) {
    // A part is never empty, so the space that separates the two is at index 1 or later (llama-vocab.cpp).
    const space = merge.indexOf(" ", 1);
    const left = merge.slice(0, space);
    const right = merge.slice(space + 1);
    if (space > 0 && idOf.has(left) && idOf.has(right) && idOf.has(left + right)) pairs.push([left, right]);
  }
  return pairs;
}
