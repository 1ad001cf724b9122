import type { TokenizerFile } from "../../engine/facts.ts";

/** The special tokens after the 256 bytes, in the order of their ids. */
const specialTokens = ["<|bos|>", "<|eos|>", "<|pad|>"] as const;

/**
 * The scripted engine's tokenizer in the format of Hugging Face tokenizers: byte-level BPE without merges, so that a
 * token id is a UTF-8 byte. A gateway that fetches it can chat with the scripted engine.
 */
export function mockTokenizerFiles(): readonly TokenizerFile[] {
  const vocab = Object.fromEntries(Array.from(byteCharacters(), (character, byte) => [character, byte]));
  const added = specialTokens.map((content, i) => ({
    id: 256 + i,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges: [],
    },
  };
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: specialTokens[0],
    eos_token: specialTokens[1],
    pad_token: specialTokens[2],
    added_tokens_decoder: Object.fromEntries(added.map(({ id, ...token }) => [String(id), token])),
    chat_template:
      "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
  };
  return [file("tokenizer.json", tokenizer), file("tokenizer_config.json", config)];
}

function file(name: string, content: unknown): TokenizerFile {
  return { name, bytes: new TextEncoder().encode(JSON.stringify(content)) };
}

/**
 * One printable character per byte, as GPT-2's byte-level BPE writes its vocabulary: printable Latin-1 stands for
 * itself, the rest gets the characters from U+0100 on, in order.
 */
function byteCharacters(): string[] {
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  let substitute = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : substitute++));
}
