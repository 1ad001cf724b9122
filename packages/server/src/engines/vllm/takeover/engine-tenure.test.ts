import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { MockEngineCore } from "@tokenwire/engine-core/testing";
import { createLog } from "../../../operations/log.ts";
import { isRunning, type ProcessIdentity } from "../process/process-identity.ts";
import { makeStandIn, type StandIn } from "../process/testing/stand-in.ts";
import { demoFolder } from "../testing/vllm-rig.ts";
import { createVllmEngine, type VllmEngineOptions } from "../vllm-engine.ts";
import { parseEngineState } from "./engine-state.ts";

let standIn: StandIn;
let statePath: string;

before(() => {
  standIn = makeStandIn();
  statePath = join(standIn.folder, "state.json");
});

after(() => standIn.remove());

function engineWith(args: readonly string[] = [], changes: Partial<VllmEngineOptions> = {}) {
  return createVllmEngine({
    modelPath: demoFolder,
    source: { t: "managed", command: standIn.command, args },
    handshakeAddress: undefined,
    inputAddress: undefined,
    outputAddress: undefined,
    dataParallelSize: 1,
    statePath,
    log: createLog("silent"),
    ...changes,
  });
}

function identityInState(): ProcessIdentity {
  const identity = parseEngineState(JSON.parse(readFileSync(statePath, "utf8")))?.process?.identity;
  assert.ok(identity !== undefined);
  return identity;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

async function generated(engine: ReturnType<typeof engineWith>): Promise<number> {
  return new Promise((resolve, reject) => {
    let tokens = 0;
    engine.generate(
      {
        id: "r",
        prompt: { kind: "tokens", tokenIds: Uint32Array.of(1, 5, 6, 7) },
        sampling: {
          temperature: 0,
          topP: 1,
          topK: 0,
          minP: 0,
          frequencyPenalty: 0,
          presencePenalty: 0,
          repetitionPenalty: 1,
          maxTokens: 5,
          minTokens: 0,
          stop: [],
          stopTokenIds: [],
          ignoreEos: true,
          n: 1,
          constraint: undefined,
          logprobs: undefined,
          promptLogprobs: undefined,
          seed: undefined,
          logitBias: new Map(),
        },
      },
      {
        delta: ({ tokenIds, finish }) => {
          tokens += tokenIds.length;
          if (finish !== undefined) resolve(tokens);
        },
        failed: reject,
      },
    );
  });
}

describe("an engine that is kept", () => {
  it("is taken over by the next front end, and ends with one that does not keep it", async () => {
    const first = engineWith([], { keepEngine: true });
    await first.start();
    const identity = identityInState();
    await first.close(0);
    assert.ok(isRunning(identity));

    const second = engineWith();
    await second.start();
    assert.deepEqual(identityInState(), identity);
    assert.deepEqual(second.processIds, [identity.pid]);
    assert.equal(second.facts().maxModelLenTokens, 2048);
    assert.equal(await generated(second), 5);

    const third = engineWith();
    await assert.rejects(third.start(), {
      kind: "failed-precondition",
      message: new RegExp(`^process ${process.pid} serves the engine of .*state\\.json already`),
    });
    await third.close(0);
    assert.ok(isRunning(identity));

    await second.close(0);
    assert.ok(!isRunning(identity));
    assert.ok(!existsSync(statePath) && !existsSync(`${statePath}.lock`));
  });

  it("ends first when the next front end asks for something else", async () => {
    const first = engineWith([], { keepEngine: true });
    await first.start();
    const identity = identityInState();
    await first.close(0);
    const second = engineWith(["--seed", "1"]);
    await second.start();
    assert.ok(!isRunning(identity));
    assert.notDeepEqual(identityInState(), identity);
    await second.close(0);
  });

  it("that has died meanwhile is replaced by a new one", async () => {
    const first = engineWith(["--worker"], { keepEngine: true });
    await first.start();
    const identity = identityInState();
    await first.close(0);
    process.kill(identity.pid, "SIGKILL");
    const second = engineWith(["--worker"]);
    await second.start();
    assert.notDeepEqual(identityInState(), identity);
    assert.equal(await generated(second), 5);
    await second.close(0);
  });
});

describe("an engine that somebody else started", () => {
  function handshakeAddress(): string {
    const address = parseEngineState(JSON.parse(readFileSync(statePath, "utf8")))?.engines?.handshakeAddress;
    assert.ok(address !== undefined);
    return address;
  }

  it("is taken over where it was, and one that is gone is replaced by the next that comes", async () => {
    // The engine comes to a port that is known before, as operators have it.
    const port = await freePort();
    const options = { source: { t: "attached" }, handshakeAddress: `tcp://127.0.0.1:${port}` } as const;
    const first = engineWith([], options);
    const started = first.start();
    const core = await MockEngineCore.start({ handshakeAddress: `tcp://127.0.0.1:${port}` });
    await started;
    await first.close(0);
    assert.equal(handshakeAddress(), `tcp://127.0.0.1:${port}`);

    const second = engineWith([], options);
    await second.start();
    assert.equal(await generated(second), 5);
    assert.equal(core.requests.length, 1);
    await second.close(0);
    core.close();

    const third = engineWith([], options);
    const waited = third.start();
    const newCore = await MockEngineCore.start({ handshakeAddress: handshakeAddress(), ready: { max_model_len: 999 } });
    await waited;
    assert.equal(third.facts().maxModelLenTokens, 999);
    assert.equal(await generated(third), 5);
    await third.close(0);
    newCore.close();
    assert.match(readFileSync(statePath, "utf8"), /"maxModelLenTokens": 999/);
    rmSync(statePath);
  });
});

describe("an engine that dies", () => {
  it("while it starts fails the start with its last line, and leaves no state", async () => {
    const engine = engineWith(["--fail"]);
    await assert.rejects(engine.start(), {
      kind: "failed-precondition",
      message: /has ended: exit code 1; its last line: .*the weights do not fit$/,
    });
    assert.ok(!existsSync(statePath) && !existsSync(`${statePath}.lock`));
    await engine.close(0);
  });

  it("later makes the engine dead, with the reason", async () => {
    const engine = engineWith();
    await engine.start();
    const dead = Promise.withResolvers<string>();
    engine.onState((state) => {
      if (state.t === "dead") dead.resolve(state.reason);
    });
    process.kill(identityInState().pid, "SIGKILL");
    // Whichever is noticed first: the process, or its connections.
    assert.match(await dead.promise, /has ended: signal SIGKILL$|does not read its input any more$/);
    await engine.close(0);
  });
});

describe("an engine that is still starting", () => {
  it("ends when the front end closes", async () => {
    const engine = engineWith(["--never-ready"]);
    const starting = Promise.withResolvers<void>();
    engine.onState((state) => {
      if (state.t === "starting" && state.progress === 0.97) starting.resolve();
    });
    const started = assert.rejects(engine.start(), { kind: "unavailable" });
    await starting.promise;
    const identity = identityInState();
    await engine.close(0);
    await started;
    assert.ok(!isRunning(identity) && !existsSync(statePath));
  });
});
