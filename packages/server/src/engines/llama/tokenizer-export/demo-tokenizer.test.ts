import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { Tokenizer } from "@huggingface/tokenizers";
import type { TokenizerFile } from "../../../engine/facts.ts";
import { readGgufHeader } from "../gguf/read-gguf-header.ts";
import { exportTokenizer } from "./export-tokenizer.ts";
import { type LlamaVocabulary, loadVocabulary } from "./testing/load-vocabulary.ts";
import { sampleTexts } from "./testing/texts.ts";

const demo = new URL("../../../../../../models/demo/", import.meta.url).pathname;
const texts = sampleTexts(600);

describe("the exported tokenizer of the demonstration model", () => {
  let files: readonly TokenizerFile[] = [];
  let exported: Tokenizer;
  let original: Tokenizer;
  let llama: LlamaVocabulary;

  const json = (name: string): Readonly<Record<string, unknown>> => {
    const file = files.find((each) => each.name === name);
    return JSON.parse(Buffer.from(file?.bytes ?? []).toString("utf8"));
  };
  const originalJson = async (name: string): Promise<Readonly<Record<string, unknown>>> =>
    JSON.parse(await readFile(`${demo}hf/${name}`, "utf8"));

  before(async () => {
    const path = `${demo}tiny-f16.gguf`;
    files = await exportTokenizer(await readGgufHeader(path), path);
    exported = new Tokenizer(json("tokenizer.json"), json("tokenizer_config.json"));
    original = new Tokenizer(await originalJson("tokenizer.json"), await originalJson("tokenizer_config.json"));
    llama = await loadVocabulary(path);
  });
  after(() => llama.dispose());

  it("is four files", () => {
    assert.deepEqual(
      files.map((file) => file.name),
      ["tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json"],
    );
  });

  it("is the tokenizer.json that the model was trained with", async () => {
    assert.deepEqual(json("tokenizer.json"), await originalJson("tokenizer.json"));
  });

  it("gives the ids of llama.cpp and of the original", () => {
    for (const text of texts) {
      const { ids } = exported.encode(text, { add_special_tokens: true });
      assert.deepEqual(ids, [...llama.tokenize(text, true)], JSON.stringify(text));
      assert.deepEqual(ids, original.encode(text, { add_special_tokens: true }).ids, JSON.stringify(text));
    }
  });

  it("gives the text back", () => {
    for (const text of texts) {
      const { ids } = exported.encode(text);
      if (ids.length === 0) continue;
      assert.equal(exported.decode(ids, { skip_special_tokens: false }), text);
      assert.equal(llama.detokenize(Uint32Array.from(ids), true), text.toWellFormed());
    }
  });

  it("leaves special tokens out where that is asked for", () => {
    const { ids } = exported.encode("<|im_start|>user\nHi<|im_end|>");
    assert.equal(exported.decode(ids, { skip_special_tokens: true }), "user\nHi");
  });

  it("has the chat template and the special tokens of the original", async () => {
    const { added_tokens_decoder, add_eos_token, ...config } = json("tokenizer_config.json");
    assert.deepEqual(config, await originalJson("tokenizer_config.json"));
    assert.equal(add_eos_token, false);
    assert.deepEqual(Object.keys(added_tokens_decoder ?? {}), ["0", "1", "2", "3"]);
  });

  it("has the configuration of the original, as far as a server needs it", async () => {
    const original = await originalJson("config.json");
    const config = json("config.json");
    assert.deepEqual(config, Object.fromEntries(Object.keys(config).map((key) => [key, original[key]])));
    const generation = await originalJson("generation_config.json");
    assert.deepEqual({ ...json("generation_config.json"), do_sample: false }, generation);
  });
});
