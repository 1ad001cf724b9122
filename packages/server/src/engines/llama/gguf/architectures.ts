/** What Hugging Face calls an architecture of llama.cpp. */
export interface ArchitectureNames {
  /** Class name, as in `architectures` of config.json. */
  readonly className: string;
  /** As in `model_type` of config.json. */
  readonly modelType: string;
}

/**
 * llama.cpp's architecture name (`general.architecture`) to the names in config.json, where they do not follow from it.
 * Source: the classes that `convert_hf_to_gguf.py` of llama.cpp registers for each architecture.
 */
const known: Readonly<Record<string, readonly [className: string, modelType: string]>> = {
  arcee: ["ArceeForCausalLM", "arcee"],
  bert: ["BertModel", "bert"],
  bloom: ["BloomForCausalLM", "bloom"],
  chatglm: ["ChatGLMForConditionalGeneration", "chatglm"],
  cohere2: ["Cohere2ForCausalLM", "cohere2"],
  "command-r": ["CohereForCausalLM", "cohere"],
  dbrx: ["DbrxForCausalLM", "dbrx"],
  deepseek: ["DeepseekForCausalLM", "deepseek"],
  deepseek2: ["DeepseekV2ForCausalLM", "deepseek_v2"],
  ernie4_5: ["Ernie4_5ForCausalLM", "ernie4_5"],
  "ernie4_5-moe": ["Ernie4_5_MoeForCausalLM", "ernie4_5_moe"],
  exaone4: ["Exaone4ForCausalLM", "exaone4"],
  "falcon-h1": ["FalconH1ForCausalLM", "falcon_h1"],
  "gemma-embedding": ["Gemma3TextModel", "gemma3_text"],
  gemma2: ["Gemma2ForCausalLM", "gemma2"],
  gemma3: ["Gemma3ForCausalLM", "gemma3_text"],
  gemma3n: ["Gemma3nForConditionalGeneration", "gemma3n"],
  glm4: ["Glm4ForCausalLM", "glm4"],
  glm4moe: ["Glm4MoeForCausalLM", "glm4_moe"],
  "gpt-oss": ["GptOssForCausalLM", "gpt_oss"],
  gpt2: ["GPT2LMHeadModel", "gpt2"],
  gptneox: ["GPTNeoXForCausalLM", "gpt_neox"],
  granite: ["GraniteForCausalLM", "granite"],
  granitehybrid: ["GraniteMoeHybridForCausalLM", "granitemoehybrid"],
  granitemoe: ["GraniteMoeForCausalLM", "granitemoe"],
  "hunyuan-dense": ["HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense"],
  "hunyuan-moe": ["HunYuanMoEV1ForCausalLM", "hunyuan_v1_moe"],
  internlm2: ["InternLM2ForCausalLM", "internlm2"],
  "jina-bert-v2": ["JinaBertModel", "bert"],
  "jina-bert-v3": ["XLMRobertaModel", "xlm-roberta"],
  lfm2moe: ["Lfm2MoeForCausalLM", "lfm2_moe"],
  "minimax-m2": ["MiniMaxM2ForCausalLM", "minimax_m2"],
  mistral3: ["Mistral3ForConditionalGeneration", "mistral3"],
  "modern-bert": ["ModernBertModel", "modernbert"],
  mpt: ["MPTForCausalLM", "mpt"],
  nemotron_h: ["NemotronHForCausalLM", "nemotron_h"],
  "nomic-bert": ["NomicBertModel", "nomic_bert"],
  "nomic-bert-moe": ["NomicBertModel", "nomic_bert"],
  olmo2: ["Olmo2ForCausalLM", "olmo2"],
  olmoe: ["OlmoeForCausalLM", "olmoe"],
  openelm: ["OpenELMForCausalLM", "openelm"],
  phi2: ["PhiForCausalLM", "phi"],
  phimoe: ["PhiMoEForCausalLM", "phimoe"],
  qwen: ["QWenLMHeadModel", "qwen"],
  qwen2moe: ["Qwen2MoeForCausalLM", "qwen2_moe"],
  qwen2vl: ["Qwen2VLForConditionalGeneration", "qwen2_vl"],
  qwen3moe: ["Qwen3MoeForCausalLM", "qwen3_moe"],
  qwen3next: ["Qwen3NextForCausalLM", "qwen3_next"],
  qwen3vl: ["Qwen3VLForConditionalGeneration", "qwen3_vl"],
  qwen3vlmoe: ["Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe"],
  seed_oss: ["SeedOssForCausalLM", "seed_oss"],
  smollm3: ["SmolLM3ForCausalLM", "smollm3"],
  stablelm: ["StableLmForCausalLM", "stablelm"],
  starcoder: ["GPTBigCodeForCausalLM", "gpt_bigcode"],
  starcoder2: ["Starcoder2ForCausalLM", "starcoder2"],
};

/** Architectures that turn a text into one vector and have no next token to give. */
export const embeddingArchitectures: ReadonlySet<string> = new Set([
  "bert",
  "eurobert",
  "gemma-embedding",
  "jina-bert-v2",
  "jina-bert-v3",
  "llama-embed",
  "modern-bert",
  "neo-bert",
  "nomic-bert",
  "nomic-bert-moe",
  "t5encoder",
]);

/** GGUF files of these architectures are no language model that can run by itself, and why. */
export const unservableArchitectures: Readonly<Record<string, string>> = {
  clip: "it is a vision or audio projector that belongs to another model; name that model's file",
  t5: "it is an encoder-decoder model, which the embedded engine does not run; use a decoder-only model",
  "wavtokenizer-dec": "it is an audio decoder; use a language model",
};

/** The names of `architecture` in config.json; derived (`qwen2` gives `Qwen2ForCausalLM`) when the table has none. */
export function architectureNames(architecture: string): ArchitectureNames {
  const names = Object.hasOwn(known, architecture) ? known[architecture] : undefined;
  if (names !== undefined) return { className: names[0], modelType: names[1] };
  const words = architecture.split(/[-_]/).filter((word) => word !== "");
  const camel = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
  return { className: `${camel}ForCausalLM`, modelType: architecture.replaceAll("-", "_") };
}
