import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { strToU8, zipSync } from "fflate";
import { IncrementalDecoder } from "../text/incremental-decoder.ts";
import { type ChatMessage, createTextTokenizer } from "./text-tokenizer.ts";

const demo = new URL("../../../../models/demo/", import.meta.url);
const file = (path: string): Uint8Array => readFileSync(new URL(path, demo));

const archive = zipSync({
  "tokenizer.json": file("hf/tokenizer.json"),
  "tokenizer_config.json": file("hf/tokenizer_config.json"),
});

interface Reference {
  readonly prompts: readonly {
    readonly kind: "chat" | "plain";
    readonly messages?: readonly ChatMessage[];
    readonly prompt: string;
    readonly promptIds: readonly number[];
    readonly generatedIds: readonly number[];
    readonly text: string;
  }[];
}

const reference: Reference = JSON.parse(new TextDecoder().decode(file("reference/reference-ids.json")));

test("prompts become the ids that Hugging Face transformers gives them, and ids its text", () => {
  const tokenizer = createTextTokenizer(archive);
  for (const { messages, prompt, promptIds, generatedIds, text } of reference.prompts) {
    const ids = messages === undefined ? tokenizer.encodePlain(prompt) : tokenizer.encodeChat(messages);
    assert.deepEqual(ids, promptIds, prompt);
    assert.equal(tokenizer.decode(generatedIds), text);
  }
});

test("no ids are an empty text, special tokens have none, and an id outside the vocabulary is no crash", () => {
  const tokenizer = createTextTokenizer(archive);
  assert.equal(tokenizer.decode([]), "");
  assert.equal(tokenizer.decode([0, 1, 2, 3]), "");
  try {
    assert.equal(typeof tokenizer.decode([4_000_000_000]), "string");
  } catch (thrown) {
    assert.ok(thrown instanceof Error && thrown.name === "TokenizerError");
  }
});

test("printed as it comes, an answer is the text that Hugging Face transformers decodes", () => {
  const tokenizer = createTextTokenizer(archive);
  for (const { generatedIds, text } of reference.prompts) {
    const decoder = new IncrementalDecoder(tokenizer.decode);
    const pieces = generatedIds.map((id) => decoder.push([id]));
    assert.equal(pieces.join("") + decoder.end(), text);
  }
});

test("a template file goes before the one in the configuration", () => {
  const tokenizer = createTextTokenizer(
    zipSync({
      "tokenizer.json": file("hf/tokenizer.json"),
      "tokenizer_config.json": strToU8('{"chat_template": "no", "bos_token": {"content": "Hello"}}'),
      "chat_template.jinja": strToU8("{{ bos_token }} {{ messages[0].content }}"),
    }),
  );
  assert.equal(tokenizer.decode(tokenizer.encodeChat([{ role: "user", content: "you" }])), "Hello you");
});

test("a list of named templates means the default one", () => {
  const config = {
    chat_template: [
      { name: "tool_use", template: "no" },
      { name: "default", template: "yes" },
    ],
  };
  const tokenizer = createTextTokenizer(
    zipSync({ "tokenizer.json": file("hf/tokenizer.json"), "tokenizer_config.json": strToU8(JSON.stringify(config)) }),
  );
  assert.equal(tokenizer.decode(tokenizer.encodeChat([])), "yes");
});

test("what is missing or broken in the archive is said in a sentence", () => {
  const cases: readonly (readonly [Record<string, Uint8Array>, RegExp])[] = [
    [{ "tokenizer_config.json": strToU8("{}") }, /has no tokenizer\.json/],
    [{ "tokenizer.json": strToU8("{") }, /tokenizer\.json cannot be used: /],
    [{ "tokenizer.json": strToU8("[]") }, /tokenizer\.json is not a JSON object/],
    [{ "tokenizer.json": strToU8("{}") }, /tokenizer cannot be used: /],
  ];
  for (const [files, message] of cases) {
    assert.throws(() => createTextTokenizer(zipSync(files)), { name: "TokenizerError", message });
  }
});

test("a model without a chat template says that --raw works, and a broken template is named", () => {
  const withConfig = (config: object): ReturnType<typeof createTextTokenizer> =>
    createTextTokenizer(
      zipSync({
        "tokenizer.json": file("hf/tokenizer.json"),
        "tokenizer_config.json": strToU8(JSON.stringify(config)),
      }),
    );
  const message: ChatMessage = { role: "user", content: "x" };
  assert.throws(() => withConfig({}).encodeChat([message]), { message: /no chat template; --raw/ });
  assert.ok(withConfig({}).encodePlain("x").length > 0);
  for (const template of ["{% for %}", "{{ raise_exception('no') }}"]) {
    assert.throws(() => withConfig({ chat_template: template }).encodeChat([message]), {
      name: "TokenizerError",
      message: /chat template cannot be used: /,
    });
  }
});
