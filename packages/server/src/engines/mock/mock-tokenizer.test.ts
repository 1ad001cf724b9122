import assert from "node:assert/strict";
import { it } from "node:test";
import { Tokenizer } from "@huggingface/tokenizers";
import { mockTokenizerFiles } from "./mock-tokenizer.ts";

it("the scripted engine's tokenizer files make a token of each UTF-8 byte and know its EOS", () => {
  const [tokenizerJson, config] = mockTokenizerFiles().map((file) => JSON.parse(Buffer.from(file.bytes).toString()));
  const tokenizer = new Tokenizer(tokenizerJson, config);
  const text = "Grüße, 世界\n";
  const ids = tokenizer.encode(text, { add_special_tokens: false }).ids;
  assert.deepEqual(Array.from(ids), Array.from(Buffer.from(text)));
  assert.equal(tokenizer.decode(ids), text);
  assert.equal(tokenizer.token_to_id("<|eos|>"), 257);
});
