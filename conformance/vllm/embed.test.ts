import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { run } from "../harness/processes.ts";
import { readReferences } from "./demo-text.ts";
import { EngineClient } from "./engine-client.ts";
import { vllmProgram } from "./install.ts";
import { demoFolder, type EngineHome, makeEngineHome, startVllmServer, type VllmServer } from "./vllm-server.ts";

const prompts = readReferences()
  .slice(0, 8)
  .map(({ promptIds }) => promptIds);

describe("a real vLLM that pools the demonstration model", () => {
  let home: EngineHome;
  let server: VllmServer;
  let client: EngineClient;
  before(async () => {
    home = makeEngineHome();
    server = await startVllmServer(home, ["--withdrawal-grace", "0"], ["--convert", "embed"]);
    client = new EngineClient(server.target);
  });
  after(() => {
    client?.close();
    server?.kill();
    home?.remove();
  });

  test("gives the embeddings that transformers gives", async (t) => {
    const words = [join(import.meta.dirname, "reference_embeddings.py"), demoFolder, JSON.stringify(prompts)];
    const { code, stdout, stderr } = await run(vllmProgram("python"), words, { limitMs: 120_000 });
    assert.equal(code, 0, stderr);
    const expected: readonly (readonly number[])[] = JSON.parse(stdout);
    let largest = 0;
    for (const [at, promptIds] of prompts.entries()) {
      const { embedding, promptTokens, embeddingDim } = await client.embed(promptIds);
      assert.deepEqual([promptTokens, embeddingDim], [promptIds.length, 256]);
      for (const [place, value] of embedding.entries()) {
        largest = Math.max(largest, Math.abs(value - (expected[at]?.[place] ?? Number.NaN)));
      }
    }
    t.diagnostic(`largest distance of a component: ${largest}`);
    assert.ok(largest < 1e-4);
  });

  test("refuses to generate, and lives", async () => {
    const { status } = await client.generate({ promptIds: prompts[0] ?? [], sampling: { maxTokens: 1 } });
    assert.equal(status, "FAILED_PRECONDITION");
    assert.equal((await client.embed(prompts[0] ?? [])).embeddingDim, 256);
    await server.stop();
  });
});
