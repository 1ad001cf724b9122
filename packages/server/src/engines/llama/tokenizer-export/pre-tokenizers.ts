import type { Json } from "./json.ts";

/** How a text is cut into words before the merges of a byte-level BPE run inside each word. */
export interface PreTokenizer {
  /** Applied one after the other; each cuts every piece into its matches and what lies between them. */
  readonly patterns: readonly string[];
  /** Whether a word that is a token as a whole is taken without merging. */
  readonly ignoresMerges: boolean;
}

/*
 * Source of the patterns and of the names: `llm_tokenizer_bpe` and `llama_vocab::impl::load` in llama.cpp
 * `src/llama-vocab.cpp` at 00ad355e. Where that file adapts a pattern to its own regex engine and quotes the original
 * of tokenizer.json (tekken, gpt-4o), the original is used: it is what the model was trained with.
 */
const contractions = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const spaces = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;
const symbols = String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*`;
const letters = String.raw`[^\r\n\p{L}\p{N}]?\p{L}+`;
const gpt2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
const llama3 = String.raw`(?:${contractions})|${letters}|\p{N}{1,3}|${symbols}|${spaces}`;
const qwen2 = String.raw`(?:${contractions})|${letters}|\p{N}|${symbols}|${spaces}`;
const upper = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const lower = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const symbolsOrSlash = String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]*`;
const cased = (suffix: string): string =>
  String.raw`[^\r\n\p{L}\p{N}]?${upper}*${lower}+${suffix}|[^\r\n\p{L}\p{N}]?${upper}+${lower}*${suffix}`;
const asciiPunctuation = String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${"`"}{|}~]`;
const deepseekWords =
  "[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376\u0377" +
  "\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556" +
  "\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15" +
  "\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE" +
  "\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113" +
  "\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184" +
  "\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E" +
  "\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\u{10400}-\u{1044F}\u{104B0}-\u{104D3}" +
  "\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}]";
const deepseekPunctuation = "[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]";
const eastAsian = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";
const hanAndKana = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
const multilingualWords = String.raw` ?[^(\s|.,!?…。，、।۔،)]+`;

interface Group {
  readonly names: readonly string[];
  readonly patterns: readonly string[];
  readonly ignoresMerges?: true;
}

const groups: readonly Group[] = [
  {
    names: [
      ...["gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum"],
      ...["modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais", "trillion"],
      ...["granite-docling", "exaone4"],
    ],
    patterns: [gpt2],
  },
  {
    names: [
      ...["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"],
    ],
    patterns: [llama3],
    ignoresMerges: true,
  },
  { names: ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], patterns: [llama3] },
  {
    names: [
      ...["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "hunyuan", "solar-open", "grok-2"],
    ],
    patterns: [qwen2],
  },
  {
    names: ["qwen35"],
    patterns: [
      String.raw`(?:${contractions})|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|${spaces}`,
    ],
  },
  {
    names: ["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"],
    patterns: [String.raw`\p{N}`, gpt2],
  },
  { names: ["falcon"], patterns: [String.raw`[\p{P}\$\+<=>\^~\|${"`"}]+`, gpt2, "[0-9][0-9][0-9]"] },
  { names: ["poro-chat", "bloom", "gpt3-finnish"], patterns: [multilingualWords] },
  { names: ["viking"], patterns: [multilingualWords, String.raw`\p{N}`] },
  {
    names: ["tekken"],
    patterns: [String.raw`${cased("")}|\p{N}|${symbolsOrSlash}|${spaces}`],
    ignoresMerges: true,
  },
  {
    names: ["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
    patterns: [String.raw`${cased(`(?:${contractions})?`)}|\p{N}{1,3}|${symbolsOrSlash}|${spaces}`],
  },
  {
    names: ["deepseek-llm"],
    patterns: [
      String.raw`[\r\n]`,
      String.raw`\s?${deepseekWords}+`,
      String.raw`\s?${deepseekPunctuation}+`,
      String.raw`\s+$`,
      eastAsian,
      String.raw`\p{N}+`,
    ],
  },
  {
    names: ["deepseek-coder"],
    patterns: [String.raw`[\r\n]`, String.raw`\s?\p{L}+`, String.raw`\s?\p{P}+`, eastAsian, String.raw`\p{N}`],
  },
  {
    names: ["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
    patterns: [
      String.raw`\p{N}{1,3}`,
      hanAndKana,
      String.raw`${asciiPunctuation}[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|${spaces}`,
    ],
  },
  {
    names: ["bailingmoe", "bailingmoe2", "llada-moe"],
    patterns: [
      String.raw`'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|${letters}|\p{N}|${symbols}|\s*[\r\n]|\s+(?!\S)|\s+`,
    ],
  },
  {
    names: ["seed-coder"],
    patterns: [String.raw`(?:${contractions})|${letters}|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|${spaces}`],
  },
];

/** What old files without a name are cut by. */
const defaultPatterns: readonly string[] = [
  String.raw`[\p{P}\$\+<=>\^~\|]+`,
  gpt2,
  String.raw`\p{N}+`,
  "[0-9][0-9][0-9]",
];

const byName: ReadonlyMap<string, PreTokenizer> = new Map([
  ["", { patterns: defaultPatterns, ignoresMerges: false }],
  ["default", { patterns: defaultPatterns, ignoresMerges: false }],
  ...groups.flatMap(({ names, patterns, ignoresMerges = false }) =>
    names.map((name) => [name, { patterns, ignoresMerges }] as const),
  ),
]);

/** Every `tokenizer.ggml.pre` that is known. The empty name stands for a file that has none. */
export const preTokenizerNames: readonly string[] = [...byName.keys()];

/** How a model with `tokenizer.ggml.pre` = `name` cuts a text; undefined for a name that is not known. */
export function preTokenizer(name: string): PreTokenizer | undefined {
  return byName.get(name);
}

/** The `pre_tokenizer` of tokenizer.json for `patterns`. */
export function preTokenizerJson(patterns: readonly string[]): Json {
  const byteLevel = (useRegex: boolean): Json => ({
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: useRegex,
  });
  if (patterns.length === 1 && patterns[0] === gpt2) return byteLevel(true);
  const splits = patterns.map((pattern) => ({
    type: "Split",
    pattern: { Regex: pattern },
    behavior: "Isolated",
    invert: false,
  }));
  return { type: "Sequence", pretokenizers: [...splits, byteLevel(false)] };
}
