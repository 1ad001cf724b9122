import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { EngineError } from "../../../engine/errors.ts";
import type { TokenizerFile } from "../../../engine/facts.ts";
import { readGgufHeader } from "../gguf/read-gguf-header.ts";
import { exportTokenizer } from "./export-tokenizer.ts";

const demo = new URL("../../../../../../models/demo/", import.meta.url).pathname;

describe("exportTokenizer with files beside the model", () => {
  let folder = "";
  let count = 0;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "export-"));
  });
  after(() => rm(folder, { recursive: true }));

  const modelBeside = async (fill: (folder: string) => Promise<unknown>): Promise<string> => {
    const own = join(folder, `model-${count++}`);
    await mkdir(own);
    await symlink(join(demo, "tiny-f16.gguf"), join(own, "model.gguf"));
    await fill(own);
    return join(own, "model.gguf");
  };
  const exportOf = async (path: string): Promise<readonly TokenizerFile[]> =>
    exportTokenizer(await readGgufHeader(path), path);
  const refuses = (path: string, sentence: RegExp): Promise<void> =>
    assert.rejects(exportOf(path), (thrown) => {
      assert.ok(thrown instanceof EngineError && thrown.kind === "failed-precondition", String(thrown));
      assert.match(thrown.message, sentence);
      return true;
    });
  const text = (files: readonly TokenizerFile[], name: string): string =>
    Buffer.from(files.find((file) => file.name === name)?.bytes ?? []).toString("utf8");

  it("takes the tokenizer files of the folder and makes those that are missing", async () => {
    const path = await modelBeside(async (own) => {
      await copyFile(join(demo, "hf/tokenizer.json"), join(own, "tokenizer.json"));
      await writeFile(join(own, "config.json"), '{"own": true}');
      await writeFile(join(own, "chat_template.jinja"), "template");
      await writeFile(join(own, "notes.txt"), "not a tokenizer file");
      await mkdir(join(own, "tokenizer.model"));
    });
    const files = await exportOf(path);
    assert.deepEqual(
      files.map((file) => file.name),
      ["chat_template.jinja", "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"],
    );
    assert.equal(text(files, "config.json"), '{"own": true}');
    assert.match(text(files, "tokenizer_config.json"), /chat_template/);
  });

  it("ignores other files when there is no tokenizer.json among them", async () => {
    const path = await modelBeside((own) => writeFile(join(own, "config.json"), '{"own": true}'));
    assert.match(text(await exportOf(path), "config.json"), /LlamaForCausalLM/);
  });

  it("refuses the tokenizer.json of another model, naming both", async () => {
    const vocab = Object.fromEntries(Array.from({ length: 2_048 }, (_, id) => [`word${id}`, id]));
    const path = await modelBeside((own) =>
      writeFile(join(own, "tokenizer.json"), JSON.stringify({ model: { type: "BPE", vocab, merges: [] } })),
    );
    await refuses(path, /tokenizer\.json belongs to another model than .*model\.gguf/);
  });

  it("takes a vocabulary in the form of a list", async () => {
    const header = await readGgufHeader(join(demo, "tiny-f16.gguf"));
    const tokens = header.metadata.get("tokenizer.ggml.tokens");
    assert.ok(tokens?.type === "array" && tokens.of === "string");
    const vocab = tokens.values.map((token) => [token, 0]);
    const path = await modelBeside((own) =>
      writeFile(join(own, "tokenizer.json"), JSON.stringify({ model: { vocab } })),
    );
    assert.equal((await exportOf(path)).length, 4);
  });

  it("refuses a tokenizer.json that is none", async () => {
    for (const contents of ["", "{", "null", "[]", '{"model": 1}', '{"model": {"vocab": 5}}']) {
      await refuses(
        await modelBeside((own) => writeFile(join(own, "tokenizer.json"), contents)),
        /no tokenizer that can be read/,
      );
    }
  });

  it("refuses more than clients take", async () => {
    const many = await modelBeside(async (own) => {
      await copyFile(join(demo, "hf/tokenizer.json"), join(own, "tokenizer.json"));
      for (let index = 0; index < 50; index++) await writeFile(join(own, `${index}.jinja`), "");
    });
    await refuses(many, /more than 47 files/);
    const large = await modelBeside(async (own) => {
      await copyFile(join(demo, "hf/tokenizer.json"), join(own, "tokenizer.json"));
      await writeFile(join(own, "other.model"), "");
      await truncate(join(own, "other.model"), 201 * 1024 * 1024);
    });
    await refuses(large, /209715200 bytes/);
  });
});
