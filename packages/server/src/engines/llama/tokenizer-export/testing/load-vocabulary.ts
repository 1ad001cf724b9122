import { type AddonModel, type LlamaAddon, loadAddon } from "../../child/addon.ts";

/** The tokenizer of llama.cpp itself. The caller disposes it. */
export type LlamaVocabulary = Pick<AddonModel, "tokenize" | "dispose"> & {
  /** `special` true writes control tokens as their text. */
  detokenize(ids: Uint32Array, special: boolean): string;
};

type VocabularyOnly = new (
  path: string,
  options: { addonExports: LlamaAddon; gpuLayers: number; vocabOnly: boolean },
) => AddonModel & LlamaVocabulary;

let addon: Promise<LlamaAddon> | undefined;

/** Loads the vocabulary of a GGUF file into llama.cpp, without weights. For tests that compare with it. */
export async function loadVocabulary(path: string): Promise<LlamaVocabulary> {
  addon ??= loadAddon(() => {});
  const addonExports = await addon;
  const Model = addonExports.AddonModel as unknown as VocabularyOnly;
  const model = new Model(path, { addonExports, gpuLayers: 0, vocabOnly: true });
  if (!(await model.init())) throw new Error(`llama.cpp does not load the vocabulary of ${path}`);
  return model;
}
