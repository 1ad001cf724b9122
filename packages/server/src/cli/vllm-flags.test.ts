import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseCommandLine } from "./command-line.ts";
import type { ServeConfiguration } from "./configuration.ts";
import type { Environment } from "./flags.ts";

const folder = fileURLToPath(new URL("../../../../models/demo/hf", import.meta.url));

function serve(words: readonly string[], environment: Environment = {}): ServeConfiguration {
  const invocation = parseCommandLine(["serve", ...words], environment);
  assert.ok(invocation.t === "serve");
  return invocation.configuration;
}

function refused(words: readonly string[], message: RegExp): void {
  assert.throws(() => serve(words), { name: "UsageError", message }, words.join(" "));
}

const managed = {
  t: "vllm",
  modelPath: folder,
  source: { t: "managed", command: "vllm", args: [] },
  handshakeAddress: undefined,
  inputAddress: undefined,
  outputAddress: undefined,
  dataParallelSize: 1,
  statePath: undefined,
  keepEngine: false,
};

test("a model's folder is served by vLLM's engine, which is started with the words behind --", () => {
  assert.deepEqual(serve([folder]).engine, managed);
  assert.equal(serve([`${folder}/`]).servedModelName, "hf");
  const args = ["--tensor-parallel-size", "2", "--max-num-seqs", "x", "--", "-O3"];
  const { engine, port } = serve([folder, "--port", "1", "--", ...args]);
  assert.deepEqual(engine, { ...managed, source: { t: "managed", command: "vllm", args } });
  assert.equal(port, 1);
});

test("the program that starts the engine can be named", () => {
  const { engine } = serve([folder], { TOKENWIRE_VLLM_COMMAND: "/venv/bin/vllm" });
  assert.deepEqual(engine, { ...managed, source: { t: "managed", command: "/venv/bin/vllm", args: [] } });
});

test("an engine can be left for the next start, and found where the user says", () => {
  const { engine } = serve([folder, "--engine-core-state", "/run/engine.json", "--engine-core-keep"]);
  assert.deepEqual(engine, { ...managed, statePath: "/run/engine.json", keepEngine: true });
});

test("words behind -- that tokenwire decides itself are refused with the reason", () => {
  refused([folder, "--", "--headless"], /^--headless cannot stand behind --: tokenwire gives it to the engine itself/);
  refused([folder, "--", "--data_parallel_size=2"], /^--data-parallel-size cannot stand behind --/);
  refused([folder, "--", "--port", "8000"], /^--port cannot stand behind --: the engine listens nowhere/);
});

test("with an address tokenwire starts no engine and waits for them there", () => {
  const words = ["--engine-core-address", "tcp://0.0.0.0:29550", "--data-parallel-size", "2"];
  const addresses = ["--engine-core-input-address", "ipc:///run/in", "--engine-core-output-address", "tcp://[::1]:0"];
  assert.deepEqual(serve([folder, ...words, ...addresses]).engine, {
    ...managed,
    source: { t: "attached" },
    handshakeAddress: "tcp://0.0.0.0:29550",
    inputAddress: "ipc:///run/in",
    outputAddress: "tcp://[::1]:0",
    dataParallelSize: 2,
  });
});

test("an address is one that ZeroMQ takes, and the handshake's is TCP", () => {
  for (const bad of ["29550", "tcp://host", "tcp://:1", "tcp://h:65536", "udp://h:1", "ipc://x", "tcp://a b:1"]) {
    refused([folder, "--engine-core-address", bad], /^--engine-core-address must be tcp:\/\/host:port, not "/);
  }
  for (const bad of ["ipc://", "ipc:// ", `ipc:///${"a".repeat(110)}`, "inproc://x"]) {
    refused([folder, "--engine-core-input-address", bad], /must be tcp:\/\/host:port or ipc:\/\/path, not "/);
  }
  refused([folder, "--data-parallel-size", "0"], /--data-parallel-size must be a whole number from 1 to 1024/);
});

test("what starts an engine and what waits for one exclude each other", () => {
  const attached = [folder, "--engine-core-address", "tcp://h:1"];
  refused([...attached, "--", "--seed", "1"], /flags behind -- go to an engine that tokenwire starts/);
  refused([...attached, "--vllm-command", "vllm"], /^--vllm-command and --engine-core-address exclude each other/);
  refused([...attached, "--max-num-seqs", "4"], /^--max-num-seqs goes to vllm serve --headless/);
  refused([folder, "--threads", "4"], /^--threads is a setting of the llama engine/);
});

test("what only vLLM's engine has is not taken for another", () => {
  refused(["m.gguf", "--", "--seed", "1"], /^-- needs --engine vllm\.$/);
  refused(["m.gguf", "--data-parallel-size", "2"], /^--data-parallel-size needs --engine vllm\.$/);
  refused(["--engine", "mock", "--vllm-command", "x"], /^--vllm-command needs --engine vllm\.$/);
  refused(["--engine", "vllm"], /^serve needs a MODEL/);
});
