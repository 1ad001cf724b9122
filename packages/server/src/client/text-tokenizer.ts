import { Template } from "@huggingface/jinja";
import { createHuggingFaceTokenizer } from "../text/hugging-face-tokenizer.ts";
import { TokenizerError } from "./collect-tokenizer.ts";
import { openTokenizerArchive } from "./tokenizer-archive.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Text to token ids and back, the way the model's author meant it. */
export interface TextTokenizer {
  /** The ids of a text as it is; special tokens that the tokenizer adds by itself are added. */
  encodePlain(text: string): number[];
  /** The ids of a conversation in the model's chat template, up to where the answer begins. Throws {@link TokenizerError}. */
  encodeChat(messages: readonly ChatMessage[]): number[];
  /** The text of some ids, without special tokens. */
  decode(tokenIds: readonly number[]): string;
}

/** Builds the tokenizer from the archive of GetTokenizer. Throws {@link TokenizerError} with a sentence. */
export function createTextTokenizer(archive: Uint8Array): TextTokenizer {
  const files = openTokenizerArchive(archive, ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]);
  const definition = jsonFile(files, "tokenizer.json");
  if (definition === undefined) throw new TokenizerError("The server's tokenizer archive has no tokenizer.json.");
  const config = jsonFile(files, "tokenizer_config.json") ?? {};
  const tokenizer = guarded("tokenizer", () => createHuggingFaceTokenizer(definition, config));
  const template = files.get("chat_template.jinja");
  const chatTemplate = template === undefined ? chatTemplateOf(config) : new TextDecoder().decode(template);

  return {
    encodePlain: (text) => guarded("tokenizer", () => tokenizer.encode(text, true)),
    encodeChat: (messages) => {
      if (chatTemplate === undefined) {
        throw new TokenizerError("The model has no chat template; --raw gives it the text as it is.");
      }
      const text = guarded("chat template", () =>
        new Template(chatTemplate).render({ ...specialTokensOf(config), messages, add_generation_prompt: true }),
      );
      // The template has written out every special token that belongs there.
      return guarded("tokenizer", () => tokenizer.encode(text, false));
    },
    decode: (tokenIds) => guarded("tokenizer", () => tokenizer.decode(tokenIds, true)),
  };
}

type JsonObject = Readonly<Record<string, unknown>>;

function jsonFile(files: ReadonlyMap<string, Uint8Array>, name: string): JsonObject | undefined {
  const bytes = files.get(name);
  if (bytes === undefined) return undefined;
  const value = guarded(name, (): unknown => JSON.parse(new TextDecoder().decode(bytes)));
  if (!isObject(value)) throw new TokenizerError(`The server's ${name} is not a JSON object.`);
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `chat_template` is one text, or a list of named ones of which "default" is meant. */
function chatTemplateOf(config: JsonObject): string | undefined {
  const template = config.chat_template;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const named = template.find((entry: unknown) => isObject(entry) && entry.name === "default");
  return isObject(named) && typeof named.template === "string" ? named.template : undefined;
}

/** `bos_token` and its like, which templates write; each is a text or an object with the text as `content`. */
function specialTokensOf(config: JsonObject): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [name, value] of Object.entries(config)) {
    if (!name.endsWith("_token")) continue;
    if (typeof value === "string") tokens[name] = value;
    else if (isObject(value) && typeof value.content === "string") tokens[name] = value.content;
  }
  return tokens;
}

function guarded<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new TokenizerError(`The server's ${what} cannot be used: ${reason}`, { cause: thrown });
  }
}
