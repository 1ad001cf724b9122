import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createEngineCoreClient, type EngineCoreClient } from "@tokenwire/engine-core";
import { createLog } from "../../../operations/log.ts";
import { adoptEngine, type EngineHandle, launchEngine } from "./launch-engine.ts";
import { isRunning } from "./process-identity.ts";
import { makeStandIn, type StandIn } from "./testing/stand-in.ts";

const log = createLog("silent");
let standIn: StandIn;
let client: EngineCoreClient;

before(async () => {
  standIn = makeStandIn();
  client = await createEngineCoreClient({
    handshakeAddress: "tcp://127.0.0.1:*",
    onOutputs: () => {},
    onDeath: () => {},
    onBadFrame: () => {},
    onReturn: () => {},
  });
});

after(async () => {
  await client.close();
  standIn.remove();
});

interface Launched {
  readonly engine: EngineHandle;
  readonly progress: number[];
  readonly exit: Promise<{ readonly reason: string; readonly lastLines: readonly string[] }>;
}

function launch(args: readonly string[], changes: { command?: string; stopGraceMs?: number } = {}): Launched {
  const progress: number[] = [];
  const { promise: exit, resolve } = Promise.withResolvers<{ reason: string; lastLines: readonly string[] }>();
  const engine = launchEngine({
    command: standIn.command,
    modelPath: "/models/m",
    handshake: { host: "127.0.0.1", port: Number(client.addresses.handshake.split(":").at(-1)) },
    dataParallelSize: 1,
    args,
    logPath: join(standIn.folder, "engine.log"),
    log,
    onProgress: (fraction) => {
      if (fraction !== undefined) progress.push(fraction);
    },
    onExit: (reason, lastLines) => resolve({ reason, lastLines }),
    ...changes,
  });
  return { engine, progress, exit };
}

/** Waits for what a timer of the observed code will see. */
async function until(what: () => boolean): Promise<void> {
  while (!what()) await sleep(10);
}

describe("an engine that is launched", () => {
  it("becomes ready, with its progress on the way, and leaves nothing when it is stopped", async () => {
    const { engine, progress } = launch(["--worker"]);
    await client.ready();
    await until(() => progress.includes(0.97));
    assert.deepEqual(progress, [0.3, 0.6, 0.725, 0.85, 0.97]);
    assert.equal(statSync(join(standIn.folder, "engine.log")).mode & 0o777, 0o600);
    await until(() => engine.processIds.length === 1 && engine.processIds[0] !== engine.identity.pid);
    const [worker = 0] = engine.processIds;
    await engine.stop();
    assert.equal(isRunning(engine.identity), false);
    assert.throws(() => process.kill(worker, 0), { code: "ESRCH" });
    await engine.stop();
  });

  it("reports its end with its last words", async () => {
    const { engine, exit } = launch(["--fail"]);
    const { reason, lastLines } = await exit;
    assert.equal(reason, `vLLM's process ${engine.identity.pid} has ended: exit code 1`);
    assert.match(lastLines.at(-1) ?? "", /ValueError: the weights do not fit$/);
    assert.match(lastLines[0] ?? "", /serve \/models\/m --headless --data-parallel-address 127\.0\.0\.1 /);
  });

  it("takes its workers with it when it is killed", async () => {
    const { engine, exit } = launch(["--worker", "--never-ready"]);
    await until(() => engine.processIds[0] !== engine.identity.pid);
    const [worker = 0] = engine.processIds;
    process.kill(engine.identity.pid, "SIGKILL");
    assert.match((await exit).reason, /has ended: signal SIGKILL$/);
    await until(() => {
      try {
        return !process.kill(worker, 0);
      } catch {
        return true;
      }
    });
  });

  it("is killed when it does not listen to SIGTERM", async () => {
    const { engine, progress } = launch(["--ignore-sigterm", "--never-ready"], { stopGraceMs: 50 });
    await until(() => progress.includes(0.97));
    await engine.stop();
    assert.equal(isRunning(engine.identity), false);
  });

  it("that is not there fails with a sentence that names what to install", () => {
    assert.throws(() => launch([], { command: "no-such-vllm" }), {
      kind: "failed-precondition",
      message: /^"no-such-vllm" was not found on the PATH; install vLLM with: pip install vllm/,
    });
  });
});

describe("an engine that is taken over", () => {
  it("is watched and stopped like one of ours, though it is nobody's child here", async () => {
    const { engine: first, progress } = launch(["--never-ready"]);
    await until(() => progress.includes(0.97));
    first.release();
    const { promise: exit, resolve } = Promise.withResolvers<string>();
    const { identity, logPath } = first;
    const adopted = adoptEngine({ identity, logPath, log, onExit: resolve });
    assert.deepEqual(adopted.processIds, [identity.pid]);
    process.kill(identity.pid, "SIGKILL");
    assert.equal(await exit, `vLLM's process ${identity.pid} has ended`);
    await adopted.stop();
  });

  it("is left alone when its process id belongs to another process by now", async () => {
    const { engine: other, progress } = launch(["--never-ready"]);
    await until(() => progress.includes(0.97));
    const identity = { ...other.identity, startTicks: (other.identity.startTicks ?? 0) - 1 };
    const adopted = adoptEngine({ identity, logPath: undefined, log, onExit: () => {} });
    await adopted.stop();
    assert.equal(isRunning(other.identity), true);
    await other.stop();
  });
});
