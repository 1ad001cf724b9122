import assert from "node:assert/strict";
import { test } from "node:test";
import { readModel } from "../model/read-model.ts";
import { demoFolder } from "../testing/vllm-rig.ts";
import { TokenizerThread } from "./tokenizer-thread.ts";

test("texts come back as the ids that the tokenizer gives here, each to its caller", async () => {
  const { tokenizer } = await readModel(demoFolder);
  assert.ok("encode" in tokenizer);
  const thread = new TokenizerThread(demoFolder, []);
  try {
    const texts = ["Once upon a time.", "", "\u{1f600} €", "a".repeat(5000)];
    const ids = await Promise.all(texts.map((text) => thread.encode(text)));
    assert.deepEqual(
      ids,
      texts.map((text) => tokenizer.encode(text, true)),
    );
  } finally {
    await thread.close();
  }
});

test("a thread that cannot begin fails what it was given, and the next text tries again", async () => {
  const thread = new TokenizerThread("/nowhere", []);
  await assert.rejects(thread.encode("a"), /the tokenizer's thread failed: .*\/nowhere has no config\.json/);
  await assert.rejects(thread.encode("b"), /the tokenizer's thread failed/);
  await thread.close();
});

test("a close fails what is not answered", async () => {
  const thread = new TokenizerThread(demoFolder, []);
  const answer = assert.rejects(thread.encode("a"), /the engine was closed/);
  await thread.close();
  await answer;
});
