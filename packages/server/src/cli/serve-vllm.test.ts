import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { MockEngineCore } from "@tokenwire/engine-core/testing";
import { runTokenwire, startTokenwire } from "./testing/run-tokenwire.ts";

const model = fileURLToPath(new URL("../../../../models/demo/hf", import.meta.url));

/** Starts a server that waits for so many engine cores, and says where it listens and where they are to go. */
async function waiting(ranks: number) {
  const words = ["--engine-core-address", "tcp://127.0.0.1:0", "--data-parallel-size", String(ranks)];
  const running = startTokenwire(["serve", model, "--host", "127.0.0.1", "--port", "0", ...words]);
  let out = "";
  let error = "";
  running.child.stdout.on("data", (text: string) => {
    out += text;
  });
  running.child.stderr.on("data", (text: string) => {
    error += text;
  });
  await running.printed("out", "listening on");
  await running.printed("error", "waiting for engines");
  const address = /listening on (\S+),/.exec(out)?.[1];
  const handshakeAddress = /"address":"(tcp:[^"]+)"/.exec(error)?.[1];
  assert.ok(address !== undefined && handshakeAddress !== undefined, out + error);
  return { ...running, address, handshakeAddress };
}

/** 0 is SERVING, 4 is not. */
const readiness = async (address: string): Promise<number | null> =>
  (await runTokenwire(["probe", "--addr", address, "--service", "readiness"])).exitCode;

test("two engines serve a model's folder, one alone goes on, and without any the server ends with exit code 70", async () => {
  const running = await waiting(2);
  const { address, handshakeAddress } = running;
  const cores: MockEngineCore[] = [];
  try {
    assert.equal(await readiness(address), 4);
    cores.push(await MockEngineCore.start({ handshakeAddress, engineIndex: 0 }));
    cores.push(await MockEngineCore.start({ handshakeAddress, engineIndex: 1 }));
    await running.printed("out", "SERVING after");
    assert.equal(await readiness(address), 0);
    const answered = await runTokenwire(["generate", "--addr", address, "--max-tokens", "4", "hello"]);
    assert.deepEqual([answered.exitCode, answered.error], [0, ""]);

    cores[0]?.close();
    await running.printed("error", '"cause":"input-lost"');
    assert.equal(await readiness(address), 0);
    for (let i = 0; i < 2; i++) {
      const goesOn = await runTokenwire(["generate", "--addr", address, "--max-tokens", "4", "hello"]);
      assert.deepEqual([goesOn.exitCode, goesOn.error], [0, ""]);
    }

    cores[1]?.die();
    await running.printed("error", '"verdict":"dead"');
    const { exitCode, error } = await running.finished;
    assert.equal(exitCode, 70);
    assert.match(error, /"reason":"engine-died"/);
  } finally {
    for (const core of cores) core.close();
    running.child.kill("SIGKILL");
  }
});

test("a server that waits for its engine stops when it is told to", async () => {
  const running = await waiting(1);
  running.child.kill("SIGTERM");
  assert.equal((await running.finished).exitCode, 0);
});

test("an address that engines cannot come to is said, and nothing is served", async () => {
  const words = ["--engine-core-address", "tcp://192.0.2.1:29550"];
  const { exitCode, error } = await runTokenwire(["serve", model, "--host", "127.0.0.1", "--port", "0", ...words]);
  assert.equal(exitCode, 1);
  assert.match(error, /error: the engine could not start: .*192\.0\.2\.1:29550/);
});
