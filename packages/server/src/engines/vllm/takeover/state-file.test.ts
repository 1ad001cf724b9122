import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { type EngineState, parseEngineState, sameRequest } from "./engine-state.ts";
import { runtimeFolder } from "./runtime-folder.ts";
import { readStateFile, removeStateFile, writeStateFile } from "./state-file.ts";
import { takeStateLock } from "./state-lock.ts";

const folder = mkdtempSync(join(tmpdir(), "tokenwire-state-"));
after(() => rmSync(folder, { recursive: true }));

const facts = {
  engineIndex: 0,
  maxModelLenTokens: 2048,
  vllmVersion: "0.32.0",
  dtype: "float32",
  blockSizeTokens: 128,
  gpuBlocks: 2048,
  kvCacheTokens: 262_144,
  maxNumSeqs: 128,
  maxNumBatchedTokens: 2048,
  dataParallelSize: 1,
  tensorParallelSize: 1,
  pipelineParallelSize: 1,
  supportsLora: false,
  all: { max_model_len: 2048 },
};
const state: EngineState = {
  version: 1,
  request: { modelPath: "/m", dataParallelSize: 1, command: ["vllm", "--dtype", "float32"] },
  process: { identity: { pid: 4242, startTicks: 17, bootId: "b" }, logPath: "/run/engine.log" },
  engines: {
    version: 1,
    handshakeAddress: "tcp://127.0.0.1:1",
    inputAddress: "ipc:///run/in",
    outputAddress: "ipc:///run/out",
    engines: [facts],
  },
};

describe("the state of an engine", () => {
  it("comes back from its file as it was, readable by its user alone", () => {
    const path = join(folder, "state.json");
    writeStateFile(path, state);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readStateFile(path), state);
    const starting: EngineState = { ...state, engines: undefined };
    writeStateFile(path, starting);
    assert.deepEqual(readStateFile(path), starting);
    removeStateFile(path);
    assert.equal(readStateFile(path), undefined);
  });

  it("is not believed when others could have written it", () => {
    const path = join(folder, "open.json");
    writeStateFile(path, state);
    chmodSync(path, 0o644);
    assert.throws(() => readStateFile(path), {
      kind: "failed-precondition",
      message: /open to other users \(mode 644\)/,
    });
    assert.throws(() => readStateFile(folder), { kind: "failed-precondition" });
  });

  it("is none when the file holds something else", () => {
    const path = join(folder, "other.json");
    for (const text of ["", "{", "null", "[]", '{"version":2}', "x".repeat(2 ** 20 + 1)]) {
      writeFileSync(path, text, { mode: 0o600 });
      assert.equal(readStateFile(path), undefined);
    }
  });

  it("never names a process or a group that is everybody's, and whatever is in it, reading does not throw", () => {
    const text = JSON.stringify(state);
    assert.deepEqual(parseEngineState(JSON.parse(text)), state);
    for (const pid of [0, 1, -1, 1.5, "7", null]) {
      const changed = { ...state, process: { ...state.process, identity: { pid } } };
      assert.equal(parseEngineState(changed), undefined);
    }
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ maxLength: 4 }), (at, piece) => {
        const mutated = text.slice(0, at) + piece + text.slice(at + piece.length);
        let value: unknown;
        try {
          value = JSON.parse(mutated);
        } catch {
          return;
        }
        const pid = parseEngineState(value)?.process?.identity.pid;
        assert.ok(pid === undefined || pid > 1);
      }),
    );
    fc.assert(fc.property(fc.jsonValue(), (value) => assert.equal(parseEngineState(value), undefined)));
  });

  it("is for what was asked for, and nothing else", () => {
    const { request } = state;
    assert.ok(sameRequest(request, { ...request }));
    assert.ok(!sameRequest(request, { ...request, dataParallelSize: 2 }));
    assert.ok(!sameRequest(request, { ...request, command: ["vllm"] }));
    assert.ok(!sameRequest(request, { ...request, command: undefined }));
  });
});

describe("the lock of a state file", () => {
  const path = join(folder, "locked.json");

  it("belongs to one at a time, who is named to the other", () => {
    const lock = takeStateLock(path);
    assert.throws(() => takeStateLock(path), {
      kind: "failed-precondition",
      message: new RegExp(`^process ${process.pid} serves the engine of .*locked\\.json already; give another`),
    });
    lock.release();
    takeStateLock(path).release();
  });

  it("is taken from a process that is gone, however it ended", () => {
    for (const left of ['{"pid":4194305,"startTicks":1}', '{"pid":', "", `{"pid":${process.pid},"startTicks":1}`]) {
      writeFileSync(`${path}.lock`, left, { mode: 0o600 });
      const lock = takeStateLock(path);
      assert.match(readFileSync(`${path}.lock`, "utf8"), new RegExp(`"pid":${process.pid}`));
      lock.release();
    }
  });

  it("fails with the reason where no file can be made", () => {
    assert.throws(() => takeStateLock("/none/state.json"), {
      kind: "failed-precondition",
      message: /^the lock \/none\/state\.json\.lock cannot be taken: ENOENT/,
    });
  });
});

describe("the folder for what lives as long as the machine runs", () => {
  it("is made for this user alone, and refused when it is not", () => {
    const base = join(folder, "run");
    const made = runtimeFolder({ XDG_RUNTIME_DIR: base });
    assert.equal(statSync(made).mode & 0o777, 0o700);
    chmodSync(made, 0o755);
    assert.throws(() => runtimeFolder({ XDG_RUNTIME_DIR: base }), {
      kind: "failed-precondition",
      message: /is not a folder of this user alone \(mode 0700\)/,
    });
    const file = join(folder, "file");
    writeFileSync(file, "");
    rmSync(made, { recursive: true });
    symlinkSync(folder, made);
    assert.throws(() => runtimeFolder({ XDG_RUNTIME_DIR: base }), { kind: "failed-precondition" });
    assert.throws(() => runtimeFolder({ XDG_RUNTIME_DIR: file }), {
      kind: "failed-precondition",
      message: /cannot be made/,
    });
  });
});
