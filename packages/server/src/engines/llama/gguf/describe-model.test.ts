import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { architectureNames } from "./architectures.ts";
import { describeModel, type ModelDescription } from "./describe-model.ts";
import { readGgufHeader } from "./read-gguf-header.ts";
import { type EncodableValue, encodeGguf, gguf } from "./testing/encode-gguf.ts";

const demoPath = new URL("../../../../../../models/demo/tiny-f16.gguf", import.meta.url).pathname;

describe("describeModel", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "gguf-"));
  });
  after(() => rm(folder, { recursive: true }));

  const tensors = [{ name: "token_embd.weight", dimensions: [64, 10], ggmlType: 0, offsetBytes: 0 }];
  const describeMetadata = async (
    metadata: Readonly<Record<string, EncodableValue | undefined>>,
    architecture = "llama",
    withTensors = true,
  ): Promise<ModelDescription> => {
    const all: Record<string, EncodableValue | undefined> = {
      "general.architecture": gguf.string(architecture),
      [`${architecture}.context_length`]: gguf.uint32(512),
      [`${architecture}.embedding_length`]: gguf.uint32(64),
      [`${architecture}.block_count`]: gguf.uint32(2),
      [`${architecture}.attention.head_count`]: gguf.uint32(4),
      "tokenizer.ggml.model": gguf.string("gpt2"),
      "tokenizer.ggml.tokens": gguf.strings(Array.from({ length: 10 }, (_, id) => `t${id}`)),
      ...metadata,
    };
    const entries = Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
    const path = join(folder, "model.gguf");
    await writeFile(path, encodeGguf({ metadata: entries, ...(withTensors ? { tensors, dataBytes: 2_560 } : {}) }));
    return describeModel(await readGgufHeader(path));
  };

  it("describes the demonstration model", async () => {
    const { chatTemplate, ...facts } = describeModel(await readGgufHeader(demoPath));
    assert.deepEqual(facts, {
      modelType: "llama",
      architectures: ["LlamaForCausalLM"],
      vocabSize: 2048,
      trainedContextTokens: 2048,
      embeddingLength: 256,
      layers: 4,
      kvHeads: [2, 2, 2, 2],
      keyLength: 64,
      valueLength: 64,
      kvBytesPerToken: 2048,
      parameterCount: 2_885_888,
      modelDtype: "float16",
      isGeneration: true,
      poolingType: undefined,
      defaultSampling: {},
      bosTokenId: 0,
      eosTokenId: 2,
      padTokenId: 3,
      unknownTokenId: undefined,
      endOfGenerationTokenIds: [2, 0],
      addBosToken: false,
      addEosToken: false,
    });
    assert.match(chatTemplate ?? "", /<\|im_start\|>/);
  });

  it("takes head lengths from the embedding and key-value heads from the heads when the file is silent", async () => {
    const { kvHeads, keyLength, valueLength, kvBytesPerToken } = await describeMetadata({});
    assert.deepEqual({ kvHeads, keyLength, valueLength }, { kvHeads: [4, 4], keyLength: 16, valueLength: 16 });
    assert.equal(kvBytesPerToken, 2 * 4 * (16 + 16) * 2);
  });

  it("adds up key-value heads that differ from layer to layer", async () => {
    const { kvHeads, kvBytesPerToken } = await describeMetadata({
      "llama.attention.head_count_kv": gguf.int32s([0, 2]),
    });
    assert.deepEqual(kvHeads, [0, 2]);
    assert.equal(kvBytesPerToken, 2 * (16 + 16) * 2);
    await assert.rejects(describeMetadata({ "llama.attention.head_count_kv": gguf.int32s([1]) }), /each of 2 layers/);
    await assert.rejects(
      describeMetadata({ "llama.attention.head_count_kv": gguf.int32s([1, -1]) }),
      /each of 2 layers/,
    );
  });

  it("collects the ids that end an output, by key first and then by text", async () => {
    const tokens = ["a", "<|endoftext|>", "b", "c", "<|eot_id|>", "<|return|>", "<|call|>", "<|end|>"];
    const facts = await describeMetadata({
      "tokenizer.ggml.tokens": gguf.strings(tokens),
      "tokenizer.ggml.eos_token_id": gguf.uint32(2),
      "tokenizer.ggml.eot_token_id": gguf.uint32(4),
      "tokenizer.ggml.eom_token_id": gguf.uint32(3),
    });
    assert.deepEqual(facts.endOfGenerationTokenIds, [2, 4, 3, 1, 5, 6]);
  });

  it("leaves out special ids beyond the vocabulary", async () => {
    const facts = await describeMetadata({
      "tokenizer.ggml.bos_token_id": gguf.uint32(10),
      "tokenizer.ggml.eos_token_id": gguf.uint32(4_294_967_295),
    });
    assert.equal(facts.bosTokenId, undefined);
    assert.equal(facts.eosTokenId, undefined);
    assert.deepEqual(facts.endOfGenerationTokenIds, []);
  });

  it("knows the defaults of a SentencePiece vocabulary and of pre-tokenizers that begin with BOS", async () => {
    const sentencePiece = await describeMetadata({ "tokenizer.ggml.model": gguf.string("llama") });
    assert.deepEqual(
      [sentencePiece.bosTokenId, sentencePiece.eosTokenId, sentencePiece.unknownTokenId, sentencePiece.addBosToken],
      [1, 2, 0, true],
    );
    const llama3 = { "tokenizer.ggml.pre": gguf.string("llama-bpe") };
    assert.equal((await describeMetadata(llama3)).addBosToken, true);
    assert.equal(
      (await describeMetadata({ ...llama3, "tokenizer.ggml.add_bos_token": gguf.bool(false) })).addBosToken,
      false,
    );
    assert.equal((await describeMetadata({ "tokenizer.ggml.pre": gguf.string("qwen2") })).addBosToken, false);
  });

  it("tells embedding models from generating ones", async () => {
    assert.equal((await describeMetadata({}, "nomic-bert")).isGeneration, false);
    assert.equal((await describeMetadata({ "qwen3.pooling_type": gguf.uint32(3) }, "qwen3")).isGeneration, false);
    assert.equal((await describeMetadata({ "qwen3.pooling_type": gguf.uint32(3) }, "qwen3")).poolingType, "last");
    assert.equal((await describeMetadata({ "qwen3.pooling_type": gguf.uint32(0) }, "qwen3")).isGeneration, true);
    assert.equal((await describeMetadata({ "llama.attention.causal": gguf.bool(false) })).isGeneration, false);
  });

  it("names the weights by the file type, and by the tensors where there is none", async () => {
    assert.equal((await describeMetadata({ "general.file_type": gguf.uint32(15) })).modelDtype, "q4_k_m");
    assert.equal((await describeMetadata({ "general.file_type": gguf.uint32(1024 + 32) })).modelDtype, "bfloat16");
    assert.equal((await describeMetadata({ "general.file_type": gguf.uint32(999) })).modelDtype, "float32");
    assert.equal((await describeMetadata({})).modelDtype, "float32");
  });

  it("passes on the author's sampling", async () => {
    const { defaultSampling } = await describeMetadata({
      "general.sampling.temp": { type: "float32", value: 0.6 },
      "general.sampling.top_k": { type: "int32", value: 20 },
      "general.sampling.penalty_repeat": { type: "float32", value: 1.05 },
    });
    assert.deepEqual(defaultSampling, { temperature: 0.6, top_k: 20, repetition_penalty: 1.05 });
  });

  it("refuses a file that holds no model to run", async () => {
    await assert.rejects(describeMetadata({ "general.type": gguf.string("adapter") }), /LoRA adapter/);
    await assert.rejects(describeMetadata({ "general.type": gguf.string("mmproj") }), /GGUF of type "mmproj"/);
    await assert.rejects(describeMetadata({}, "clip"), /projector/);
    await assert.rejects(describeMetadata({}, "t5"), /encoder-decoder/);
    await assert.rejects(describeMetadata({}, "llama", false), /no weights/);
    await assert.rejects(describeMetadata({ "general.architecture": undefined }), /general\.architecture is missing/);
  });

  it("refuses metadata that is missing, of another type or out of range", async () => {
    await assert.rejects(
      describeMetadata({ "llama.context_length": undefined }),
      /llama\.context_length is missing or 0/,
    );
    await assert.rejects(
      describeMetadata({ "llama.block_count": gguf.uint32(0) }),
      /llama\.block_count is missing or 0/,
    );
    await assert.rejects(
      describeMetadata({ "llama.block_count": gguf.uint32(4_000_000_000) }),
      /block_count is 4000000000/,
    );
    await assert.rejects(
      describeMetadata({ "llama.context_length": gguf.string("x") }),
      /string where a number is needed/,
    );
    await assert.rejects(
      describeMetadata({ "llama.context_length": { type: "uint64", value: 2n ** 60n } }),
      /context_length is 1152921504606846976, which is out of range/,
    );
    await assert.rejects(
      describeMetadata({ "tokenizer.ggml.tokens": gguf.uint32(1) }),
      /an array of strings is needed/,
    );
  });
});

describe("architectureNames", () => {
  it("knows the names that do not follow from the architecture", () => {
    assert.deepEqual(architectureNames("qwen3moe"), { className: "Qwen3MoeForCausalLM", modelType: "qwen3_moe" });
    assert.deepEqual(architectureNames("command-r"), { className: "CohereForCausalLM", modelType: "cohere" });
  });

  it("derives the others", () => {
    assert.deepEqual(architectureNames("qwen2"), { className: "Qwen2ForCausalLM", modelType: "qwen2" });
    assert.deepEqual(architectureNames("new-arch_x"), { className: "NewArchXForCausalLM", modelType: "new_arch_x" });
    assert.deepEqual(architectureNames("constructor").modelType, "constructor");
  });
});
