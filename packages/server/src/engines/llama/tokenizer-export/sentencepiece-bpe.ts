import { setImmediate } from "node:timers/promises";
import { type GgufHeader, getBoolean, getNumberArray } from "../gguf/gguf-header.ts";
import { type SpecialTokens, tokenTypes } from "../gguf/special-tokens.ts";
import { cannotExport } from "./cannot-export.ts";
import type { Json } from "./json.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** SentencePiece writes a space as this character. */
const visibleSpace = "▁";
const tokensPerTurn = 8_192;
/** Real pieces are a few dozen characters long; cutting a giant one everywhere would take quadratic time. */
const longestPiece = 256;

/**
 * The parts of tokenizer.json for a SentencePiece BPE (`tokenizer.ggml.model` = `llama`): spaces become `▁`, characters
 * that are no token become bytes, and pairs merge in the order of the score of what they give. As in llama.cpp and in
 * the Hugging Face converter for Llama, a space is put before each stretch of text unless the file says otherwise.
 *
 * Throws failed-precondition when the file has no scores. Deriving the merges of 260,000 tokens takes about a second
 * of computing, done in turns that let the event loop run.
 */
export async function sentencePieceBpe(
  header: GgufHeader,
  vocabulary: Vocabulary,
  special: SpecialTokens,
): Promise<Readonly<Record<string, Json>>> {
  const scores = getNumberArray(header, "tokenizer.ggml.scores");
  if (scores === undefined || scores.length < vocabulary.tokens.length) {
    throw cannotExport(header.path, "it does not hold a score for each token");
  }
  const prefix = getBoolean(header, "tokenizer.ggml.add_space_prefix") ?? true;
  const showSpaces: Json = { type: "Replace", pattern: { String: " " }, content: visibleSpace };
  const hideSpaces: Json = { type: "Replace", pattern: { String: visibleSpace }, content: " " };
  const unknown = special.unknownTokenId === undefined ? undefined : vocabulary.tokens[special.unknownTokenId];
  return {
    normalizer: prefix
      ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: visibleSpace }, showSpaces] }
      : showSpaces,
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        hideSpaces,
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: unknown ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: vocabulary.idOf.has("<0x00>"),
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.idOf),
      merges: await mergesByScore(vocabulary, scores),
    },
  };
}

/**
 * The merges that a vocabulary with scores stands for: every way to cut a token into two tokens, best score first.
 * Among cuts of the same score the one with the longer left part comes first, as in the Hugging Face converter.
 */
export async function mergesByScore(
  { tokens, idOf, typeOf }: Vocabulary,
  scores: ArrayLike<number>,
): Promise<readonly [string, string][]> {
  const mergeable = (id: number | undefined): boolean => {
    if (id === undefined) return false;
    const type = typeOf(id);
    return type === tokenTypes.normal || type === tokenTypes.userDefined || type === tokenTypes.unused;
  };
  const merges: { left: string; right: string; score: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    if (id % tokensPerTurn === tokensPerTurn - 1) await setImmediate();
    if (!mergeable(id) || token.length > longestPiece) continue;
    for (let cut = 1; cut < token.length; cut++) {
      const left = token.slice(0, cut);
      if (!mergeable(idOf.get(left))) continue;
      const right = token.slice(cut);
      if (mergeable(idOf.get(right))) merges.push({ left, right, score: scores[id] ?? 0 });
    }
  }
  merges.sort((a, b) => b.score - a.score || b.left.length - a.left.length || b.right.length - a.right.length);
  return merges.map(({ left, right }) => [left, right]);
}
