import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { readModel } from "./read-model.ts";

const demo = fileURLToPath(new URL("../../../../../../models/demo/hf", import.meta.url));

describe("reading a model's folder", () => {
  let folder: string;
  let models = 0;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tokenwire-model-"));
  });
  after(() => rm(folder, { recursive: true }));

  async function modelWith(files: Readonly<Record<string, unknown>>): Promise<string> {
    const path = join(folder, String(models++));
    await mkdir(path);
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(path, name), typeof content === "string" ? content : JSON.stringify(content));
    }
    return path;
  }

  const refused = async (files: Readonly<Record<string, unknown>>, message: RegExp): Promise<void> =>
    assert.rejects(readModel(await modelWith(files)), { name: "EngineError", kind: "failed-precondition", message });

  it("knows the demonstration model as its files tell it", async () => {
    const { tokenizer, ...facts } = await readModel(demo);
    assert.deepEqual(facts, {
      folder: demo,
      modelType: "llama",
      architectures: ["LlamaForCausalLM"],
      vocabSize: 2048,
      eosTokenId: 2,
      furtherEosTokenIds: [0],
      bosTokenId: 0,
      padTokenId: 3,
      defaultSampling: {},
    });
    assert.ok("encode" in tokenizer);
    const ids = tokenizer.encode("The capital of France is Paris.", true);
    assert.equal(tokenizer.decode(ids, false), "The capital of France is Paris.");
  });

  it("takes the author's sampling and the ends of generation_config.json", async () => {
    const model = await readModel(
      await modelWith({
        "config.json": { vocab_size: 10, eos_token_id: 1 },
        "generation_config.json": {
          eos_token_id: [2, 5, 99],
          temperature: 0.6,
          top_k: 20,
          top_p: "high",
          do_sample: true,
        },
      }),
    );
    assert.deepEqual([model.eosTokenId, model.furtherEosTokenIds], [2, [5]]);
    assert.deepEqual(model.defaultSampling, { temperature: 0.6, top_k: 20 });
    assert.deepEqual(model.tokenizer, { missingBecause: `${model.folder} has no tokenizer.json` });
  });

  it("takes the ends of config.json where generation_config.json has none", async () => {
    const model = await readModel(await modelWith({ "config.json": { vocab_size: 10, eos_token_id: [1, 3] } }));
    assert.deepEqual([model.eosTokenId, model.furtherEosTokenIds], [1, [3]]);
  });

  it("finds the language model's figures where the model takes other input too", async () => {
    const model = await readModel(
      await modelWith({
        "config.json": { model_type: "both", text_config: { model_type: "inner", vocab_size: 7, eos_token_id: 6 } },
      }),
    );
    assert.deepEqual([model.modelType, model.vocabSize, model.eosTokenId], ["both", 7, 6]);
  });

  it("looks a named EOS up among the added tokens and in the vocabulary", async () => {
    const definition = { added_tokens: [{ id: 4, content: "<end>" }], model: { vocab: { "</s>": 2 } } };
    for (const [eos, id] of [
      ["<end>", 4],
      ["</s>", 2],
      [{ content: "<end>" }, 4],
      ["<no>", 1],
    ] as const) {
      const model = await readModel(
        await modelWith({
          "config.json": { vocab_size: 10, eos_token_id: 1 },
          "tokenizer.json": definition,
          "tokenizer_config.json": { eos_token: eos },
        }),
      );
      assert.equal(model.eosTokenId, id);
      assert.ok("missingBecause" in model.tokenizer, "half a tokenizer is none");
    }
  });

  it("says which file is missing or broken, and how", async () => {
    await refused({}, /has no config\.json, so it is no model/);
    await refused({ "config.json": "{" }, /config\.json is not JSON/);
    await refused({ "config.json": "[]" }, /config\.json is not a JSON object/);
    for (const size of [0, -1, 1.5, "2048", null, 2 ** 31]) {
      await refused({ "config.json": { vocab_size: size } }, /vocab_size must be a whole number from 1 to 2147483647/);
    }
    await refused({ "config.json": {} }, /got nothing$/);
    await refused(
      { "config.json": { vocab_size: 9 }, "generation_config.json": "x" },
      /generation_config\.json is not JSON/,
    );
  });

  it("reads no file beyond its bound", async () => {
    const path = await modelWith({ "config.json": "{}" });
    await truncate(join(path, "config.json"), 5 * 1024 * 1024);
    await assert.rejects(readModel(path), /config\.json is larger than 4194304 bytes/);
  });
});
