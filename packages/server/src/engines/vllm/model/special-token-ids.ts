import { isJsonObject, type JsonObject } from "./read-json-file.ts";

/** The ids in a field that holds one id, a list of them, or null (Hugging Face's `eos_token_id`). */
export function tokenIdsOf(value: unknown): readonly number[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.filter((id): id is number => typeof id === "number" && Number.isInteger(id) && id >= 0);
}

/**
 * The id of a special token that tokenizer_config.json names by its text (`eos_token`, a text or an object with the text as
 * `content`), looked up in tokenizer.json; undefined where one of the two does not know it.
 */
export function specialTokenId(name: string, config: JsonObject, definition: JsonObject): number | undefined {
  const value = config[name];
  const text = isJsonObject(value) ? value.content : value;
  if (typeof text !== "string") return undefined;
  const added: readonly unknown[] = Array.isArray(definition.added_tokens) ? definition.added_tokens : [];
  const token = added.find((each): each is JsonObject => isJsonObject(each) && each.content === text);
  const { vocab } = isJsonObject(definition.model) ? definition.model : { vocab: undefined };
  const id = token?.id ?? (isJsonObject(vocab) && Object.hasOwn(vocab, text) ? vocab[text] : undefined);
  return tokenIdsOf(id)[0];
}
