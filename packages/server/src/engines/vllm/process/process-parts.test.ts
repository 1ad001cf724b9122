import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { engineArguments, refuseEngineArguments } from "./engine-arguments.ts";
import { findCommand } from "./find-command.ts";
import { LogTail } from "./log-tail.ts";
import { identify, isReplaced, isRunning } from "./process-identity.ts";
import { startPhaseOf } from "./start-phases.ts";

const folder = mkdtempSync(join(tmpdir(), "tokenwire-process-"));
after(() => rmSync(folder, { recursive: true }));

describe("a process's identity", () => {
  it("is this process's and no later one's with the same id", () => {
    const own = identify(process.pid);
    assert.ok(own !== undefined && own.startTicks !== undefined);
    assert.deepEqual([isRunning(own), isReplaced(own)], [true, false]);
    const earlier = { ...own, startTicks: own.startTicks - 1 };
    assert.deepEqual([isRunning(earlier), isReplaced(earlier)], [false, true]);
    const beforeReboot = { ...own, bootId: "another" };
    assert.deepEqual([isRunning(beforeReboot), isReplaced(beforeReboot)], [false, true]);
  });

  it("of nobody is undefined", () => {
    // Linux hands out no id above 2^22.
    assert.equal(identify(2 ** 22 + 1), undefined);
    assert.equal(isRunning({ pid: 2 ** 22 + 1, startTicks: 1, bootId: undefined }), false);
  });
});

describe("the words that start an engine", () => {
  it("are a headless engine's, then the user's", () => {
    const handshake = { host: "127.0.0.1", port: 5000 };
    const args = ["--dtype", "float32"];
    assert.equal(
      engineArguments({ modelPath: "/m", handshake, dataParallelSize: 2, args }).join(" "),
      "serve /m --headless --data-parallel-address 127.0.0.1 --data-parallel-rpc-port 5000 --data-parallel-size 2 --dtype float32",
    );
  });

  it("are the user's own unless tokenwire decides them", () => {
    assert.equal(refuseEngineArguments(["--dtype", "float32", "-O3", "--enforce-eager"]), undefined);
    assert.match(refuseEngineArguments(["--dtype", "float32", "-dpp", "1"]) ?? "", /^-dpp cannot stand behind --: /);
    assert.match(refuseEngineArguments(["--data_parallel_address=x"]) ?? "", /^--data-parallel-address cannot/);
  });
});

describe("a program", () => {
  it("is found as a shell finds it, when it can be run", () => {
    assert.match(findCommand("sh") ?? "", /\/sh$/);
    assert.equal(findCommand("sh", ""), undefined);
    const file = join(folder, "vllm");
    writeFileSync(file, "", { mode: 0o600 });
    assert.equal(findCommand("vllm", folder), undefined);
    assert.equal(findCommand(file), undefined);
    assert.equal(findCommand(folder), undefined);
  });
});

describe("a line of vLLM's log", () => {
  const lines = {
    "INFO [serve.py:239] Launching 1 data parallel engine(s) in headless mode, with head": 0.3,
    "(EngineCore pid=1) INFO [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config": 0.45,
    "(Worker pid=2) INFO [cpu_model_runner.py:68] Starting to load model /models/m...": 0.6,
    "Loading safetensors checkpoint shards:   0% Completed | 0/4 [00:00<?, ?it/s]": 0.6,
    "Loading safetensors checkpoint shards: 100% Completed | 4/4 [00:00<00:00, 71.44it/s]": 0.85,
    "(Worker pid=2) INFO [default_loader.py:501] Loading weights took 0.03 seconds": 0.85,
    "(EngineCore pid=1) INFO [kv_cache_utils.py:2327] CPU KV cache size: 262,144 tokens": 0.9,
    "(EngineCore pid=1) INFO [core.py:402] init engine (profile, create kv cache, warmup model) took 0.38 s": 0.97,
  };

  for (const [line, fraction] of Object.entries(lines)) {
    it(`says that the start is at ${fraction}: ${line.slice(0, 60)}`, () => {
      assert.equal(startPhaseOf(line)?.fraction, fraction);
    });
  }

  it("of another kind says nothing", () => assert.equal(startPhaseOf("WARNING something"), undefined));

  it("never says more than that the engine is ready", () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(999), (text, percent) => {
        const said = startPhaseOf(`checkpoint shards: ${percent}% Completed ${text}`);
        assert.ok(said !== undefined && said.fraction >= 0.6 && said.fraction <= 0.97);
      }),
    );
  });
});

describe("a followed log", () => {
  it("gives each line once, whole, whatever the pieces in which they were written", () => {
    const path = join(folder, "pieces.log");
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-zäöü€ ]{0,20}[a-z]$/), { minLength: 1 }),
        fc.nat(30),
        (lines, size) => {
          writeFileSync(path, "");
          const got: string[] = [];
          const tail = new LogTail({ path, onLine: (line) => got.push(line) });
          const bytes = Buffer.from(`${lines.join("\n")}\n`);
          for (let at = 0; at < bytes.length; at += size + 1) {
            appendFileSync(path, bytes.subarray(at, at + size + 1));
            tail.read();
          }
          tail.close();
          assert.deepEqual(got, lines);
          assert.deepEqual(tail.lastLines, lines.slice(-40));
        },
      ),
      { numRuns: 30 },
    );
  });

  it("cuts a line that does not end, and takes a progress bar's as lines", () => {
    const path = join(folder, "long.log");
    writeFileSync(path, `${"x".repeat(5000)}\n 10%\r 20%\r\n`);
    const got: string[] = [];
    const tail = new LogTail({ path, onLine: (line) => got.push(line) });
    tail.close();
    assert.deepEqual(
      got.map((line) => line.slice(-5)),
      ["xxxxx", " 10%", " 20%"],
    );
    assert.equal(got[0]?.length, 2000);
  });

  it("begins behind what another front end has read", () => {
    const path = join(folder, "old.log");
    writeFileSync(path, "old\n");
    const got: string[] = [];
    const tail = new LogTail({ path, fromEnd: true, onLine: (line) => got.push(line) });
    appendFileSync(path, "new\n");
    tail.close();
    assert.deepEqual(got, ["new"]);
  });

  it("does not grow without bound while somebody follows it", () => {
    const path = join(folder, "big.log");
    writeFileSync(path, `${"y".repeat(1024 * 1024 - 1)}\n`.repeat(9));
    let lines = 0;
    const tail = new LogTail({
      path,
      onLine: () => {
        lines += 1;
      },
    });
    for (let round = 0; round < 20; round += 1) tail.read();
    appendFileSync(path, "next\n");
    tail.close();
    assert.deepEqual([lines, tail.lastLines.at(-1)], [10, "next"]);
    truncateSync(path);
  });
});
