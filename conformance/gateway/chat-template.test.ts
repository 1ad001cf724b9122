import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { root, type Server, startServer } from "../harness/server.ts";
import { ask } from "./gateway-client.ts";
import { writeModelWithTemplate } from "./gguf-template.ts";
import { type RecordingProxy, startRecordingProxy } from "./recording-proxy.ts";
import { type Gateway, startGateway } from "./smg.ts";
import { type Conversation, tokenIdsOf } from "./tokenize-prompts.ts";

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather of a town, in °C & <b>bold</b> words.",
    parameters: {
      type: "object",
      properties: { town: { type: "string" }, days: { type: "integer", minimum: 1 }, again: { type: "boolean" } },
      required: ["town"],
    },
  },
};
const clock = {
  type: "function",
  function: { name: "now", description: "Tells the time.", parameters: { type: "object", properties: {} } },
};
const system = { role: "system", content: "You are brief. Äpfel, 東京, 🦊 and 'quotes'." };
const user = { role: "user", content: "What is the weather in Paris?" };
const call = {
  role: "assistant",
  content: "",
  tool_calls: [
    { id: "call00001", type: "function", function: { name: "get_weather", arguments: '{"town": "Paris", "days": 2}' } },
  ],
};
const result = { role: "tool", tool_call_id: "call00001", content: '{"celsius": 21.5}' };

const plain: readonly Omit<Conversation, "template">[] = [
  { messages: [user] },
  { messages: [system, user] },
  { messages: [system, user, { role: "assistant", content: "It rains." }, { role: "user", content: " And  now?\n" }] },
];
const withTools: readonly Omit<Conversation, "template">[] = [
  { messages: [user], tools: [weather] },
  { messages: [system, user], tools: [weather, clock] },
  { messages: [system, user, call, result, { role: "user", content: "Thank you." }], tools: [weather] },
  { messages: [user, call, result], tools: [weather, clock] },
];

const demoConfig = join(root, "models", "demo", "hf", "tokenizer_config.json");
const demoTemplate: string = JSON.parse(readFileSync(demoConfig, "utf8")).chat_template;
const ours = (name: string) => readFileSync(join(import.meta.dirname, "templates", `${name}.jinja`), "utf8");

describe("what the gateway renders from our tokenizer is what the model's own template renders", () => {
  const folder = mkdtempSync(join(tmpdir(), "tokenwire-templates-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("with the demonstration model's template", () => compare(undefined, demoTemplate, plain));
  for (const name of ["tagged", "headed", "bracketed"]) {
    test(`with the template "${name}", system roles and tools`, async () => {
      const model = join(folder, `${name}.gguf`);
      writeModelWithTemplate(model, ours(name));
      await compare(model, ours(name), [...plain, ...withTools]);
    });
  }
});

async function compare(
  model: string | undefined,
  template: string,
  conversations: readonly Omit<Conversation, "template">[],
): Promise<void> {
  const wanted = await tokenIdsOf(conversations.map((conversation) => ({ template, ...conversation })));
  let server: Server | undefined;
  let proxy: RecordingProxy | undefined;
  let gateway: Gateway | undefined;
  try {
    server = await startServer([], model);
    proxy = await startRecordingProxy(server.target);
    gateway = await startGateway(proxy.target);
    for (const [index, conversation] of conversations.entries()) {
      const asked = { model: "tokenwire-demo", max_tokens: 1, ...conversation };
      await ask(`${gateway.url}/v1/chat/completions`, asked);
      assert.deepEqual(proxy.takePrompts(), [wanted[index]], JSON.stringify(conversation.messages));
    }
  } finally {
    gateway?.stop();
    await proxy?.close();
    server?.kill();
  }
}
