import { EngineError } from "../../../engine/errors.ts";
import { type GgufHeader, getString } from "../gguf/gguf-header.ts";
import { tokenTypes } from "../gguf/special-tokens.ts";
import { readVocabulary } from "./vocabulary.ts";

const samples = 256;

/**
 * Throws failed-precondition when the tokenizer.json beside a model is no tokenizer, or plainly belongs to another
 * model: of the ordinary tokens that are compared, most have another id. A wrong tokenizer would turn every prompt into
 * nonsense without any error. Vocabularies that GGUF rewrites (BERT, T5) are not compared.
 */
export function checkSameVocabulary(header: GgufHeader, path: string, bytes: Uint8Array): void {
  const idOf = readIds(path, bytes);
  const model = getString(header, "tokenizer.ggml.model");
  if (model !== "gpt2" && model !== "llama") return;
  const { tokens, typeOf } = readVocabulary(header);
  const step = Math.max(1, Math.floor(tokens.length / samples));
  let compared = 0;
  let different = 0;
  for (let id = 0; id < tokens.length; id += step) {
    if (typeOf(id) !== tokenTypes.normal) continue;
    compared++;
    if (idOf(tokens[id] ?? "") !== id) different++;
  }
  if (different * 2 > compared) {
    throw new EngineError(
      "failed-precondition",
      `${path} belongs to another model than ${header.path}: ${different} of ${compared} tokens that were compared have another id. Move it away, or put the right one there.`,
    );
  }
}

function readIds(path: string, bytes: Uint8Array): (token: string) => number | undefined {
  const unusable = (cause?: unknown): EngineError =>
    new EngineError("failed-precondition", `${path} is no tokenizer that can be read. Replace or remove it.`, {
      cause,
    });
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (thrown) {
    throw unusable(thrown);
  }
  const vocab = member(member(parsed, "model"), "vocab");
  if (Array.isArray(vocab)) {
    const ids = new Map<unknown, number>(
      vocab.map((entry: unknown, id) => [Array.isArray(entry) ? entry[0] : entry, id]),
    );
    return (token) => ids.get(token);
  }
  if (typeof vocab !== "object" || vocab === null) throw unusable();
  return (token) => {
    const id = member(vocab, token);
    return typeof id === "number" ? id : undefined;
  };
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}
