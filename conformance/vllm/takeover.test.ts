import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { root } from "../harness/server.ts";
import { readReferences } from "./demo-text.ts";
import { EngineClient } from "./engine-client.ts";
import { vllmProgram } from "./install.ts";
import {
  demoFolder,
  type EngineHome,
  gone,
  makeEngineHome,
  startVllmServer,
  stateOf,
  type VllmServer,
} from "./vllm-server.ts";

const question = readReferences()[0];
assert.ok(question !== undefined);
const { promptIds, generatedIds } = question;

describe("a front end that takes over a running vLLM", () => {
  let home: EngineHome;
  let server: VllmServer;
  before(async () => {
    home = makeEngineHome();
    server = await startVllmServer(home);
  });
  after(() => {
    server?.kill();
    home?.remove();
  });

  async function answers(): Promise<void> {
    const client = new EngineClient(server.target);
    const { tokenIds, status, details } = await client.generate({
      promptIds,
      sampling: { temperature: 0, maxTokens: 64 },
    });
    client.close();
    assert.deepEqual([status, tokenIds[0]], ["OK", generatedIds], details);
  }

  test("serves after kill -9 of the one before it, without loading the model, and frees what that one left", async (t) => {
    const before = home.processes();
    const times: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const client = new EngineClient(server.target);
      const sampling = { temperature: 1, maxTokens: 1900, ignoreEos: true };
      const streams = Array.from({ length: 8 }, () => client.start({ promptIds, sampling }));
      await Promise.all(streams.map((stream) => stream.begun));
      server.signal("SIGKILL");
      await server.exited();
      client.close();
      server = await startVllmServer(home);
      times.push(server.servingAfterMs);
      await answers();
      const next = new EngineClient(server.target);
      // Two answers apart, statistics have come that know of the aborts.
      await answers();
      assert.equal(await next.runningRequests(), 0, "the requests of the earlier front end are aborted");
      next.close();
    }
    assert.deepEqual(home.processes(), before);
    t.diagnostic(`SERVING ${times.map((ms) => `${(ms / 1000).toFixed(2)} s`).join(", ")} after the process began`);
  });

  test("refuses to share the engine with a second one, which says who has it", async () => {
    const bin = `${root}/packages/server/bin/tokenwire.mjs`;
    const words = [bin, "serve", demoFolder, "--engine", "vllm", "--vllm-command", vllmProgram("vllm"), "--port", "0"];
    const { status, stderr } = spawnSync(process.execPath, [...words, "--engine-core-state", home.statePath], {
      encoding: "utf8",
      timeout: 60_000,
    });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`process ${server.pid} serves the engine of ${home.statePath} already`));
    await answers();
  });

  test("starts a new engine when the one before has died meanwhile", async () => {
    const before = home.processes();
    assert.ok(before !== undefined);
    server.signal("SIGKILL");
    await server.exited();
    process.kill(before.launcher, "SIGKILL");
    process.kill(before.engineCore, "SIGKILL");
    await gone(before.engineCore);
    server = await startVllmServer(home);
    assert.notEqual(home.processes()?.engineCore, before.engineCore);
    assert.ok(stateOf(before.worker) === undefined, "the old worker is gone too");
    await answers();
  });

  test("leaves the engine to the next one at SIGTERM when it is to be kept", async (t) => {
    const before = home.processes();
    server.signal("SIGKILL");
    await server.exited();
    server = await startVllmServer(home, ["--engine-core-keep", "--withdrawal-grace", "0"]);
    await server.stop();
    server = await startVllmServer(home, ["--withdrawal-grace", "0"]);
    t.diagnostic(`SERVING ${(server.servingAfterMs / 1000).toFixed(2)} s after the process began`);
    assert.deepEqual(home.processes(), before);
    await answers();
    await server.stop();
    assert.ok(before !== undefined && stateOf(before.engineCore) === undefined);
  });
});
