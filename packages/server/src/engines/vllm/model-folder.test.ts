import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Engine } from "../../engine/engine.ts";
import { CollectingSink } from "../../engine/testing/collecting-sink.ts";
import { greedySampling } from "../../engine/testing/sampling.ts";
import { readTokenizerFiles } from "../tokenizer-files.ts";
import { readModel } from "./model/read-model.ts";
import { demoFolder, vllmRig } from "./testing/vllm-rig.ts";

const { tokenizer } = await readModel(demoFolder);
const files = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];

describe("a model's folder that is there for the start alone", () => {
  let folder: string;
  let engine: Engine;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tokenwire-folder-"));
    for (const name of files) cpSync(join(demoFolder, name), join(folder, name));
  });
  afterEach(async () => {
    await engine.close(0);
    rmSync(folder, { recursive: true, force: true });
  });

  async function promptIdsOf(text: string): Promise<readonly number[] | undefined> {
    const sink = new CollectingSink();
    const sampling = greedySampling({ maxTokens: 1 });
    engine.generate(
      { id: text.slice(0, 8), prompt: { kind: "text", text, truncateToTokens: undefined }, sampling },
      sink,
    );
    const end = await sink.end();
    assert.equal(end.t, "finished", JSON.stringify(end));
    const [core] = await cores();
    return core?.requests.at(-1)?.promptTokenIds;
  }

  let cores: ReturnType<typeof vllmRig>["cores"];
  async function start(): Promise<void> {
    ({ engine, cores } = vllmRig({ core: { stepMs: 1 }, engine: { modelPath: folder } }));
    await engine.start();
  }

  it("gives away its tokenizer as it was, after it is gone", async () => {
    const before = await readTokenizerFiles(folder);
    await start();
    rmSync(folder, { recursive: true });
    assert.deepEqual(await engine.tokenizerFiles(), before);
  });

  it("gives away the tokenizer that it uses, after another one took its place", async () => {
    await start();
    writeFileSync(join(folder, "tokenizer.json"), "{}");
    const given = (await engine.tokenizerFiles()).find(({ name }) => name === "tokenizer.json");
    const used = (await readTokenizerFiles(demoFolder)).find(({ name }) => name === "tokenizer.json");
    assert.deepEqual(given, used);
  });

  it("is not missed by texts, short or long", async () => {
    await start();
    rmSync(folder, { recursive: true });
    assert.ok("encode" in tokenizer);
    for (const text of ["Once upon a time", "Once upon a time ".repeat(300)]) {
      assert.deepEqual(await promptIdsOf(text), tokenizer.encode(text, true));
    }
  });

  it("is looked at again where its files could not be given away at the start", async () => {
    writeFileSync(join(folder, "large.model"), "");
    for (let i = 0; i < 47; i++) writeFileSync(join(folder, `${i}.jinja`), "");
    await start();
    await assert.rejects(engine.tokenizerFiles(), /more than 47 files/);
    for (let i = 0; i < 47; i++) rmSync(join(folder, `${i}.jinja`));
    assert.equal((await engine.tokenizerFiles()).length, files.length + 1);
  });
});
