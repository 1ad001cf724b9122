import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Engine } from "../engine/engine.ts";
import { createLog } from "../operations/log.ts";
import { parseCommandLine } from "./command-line.ts";
import type { ServeConfiguration } from "./configuration.ts";
import {
  assertEngineCoreRunsHere,
  assertLlamaRunsHere,
  llamaPackageVersion,
  type Platform,
  selectEngine,
} from "./select-engine.ts";

const linux: Platform = { os: "linux", arch: "x64", libc: "glibc", hasPackage: () => true };
const demoFolder = fileURLToPath(new URL("../../../../models/demo/hf", import.meta.url));
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwire-"));
});

after(() => rm(folder, { recursive: true }));

function configurationOf(words: readonly string[]): ServeConfiguration {
  const invocation = parseCommandLine(["serve", ...words], {});
  assert.ok(invocation.t === "serve");
  return invocation.configuration;
}

const select = (words: readonly string[], platform: Platform = linux): Promise<Engine> =>
  selectEngine(configurationOf(words), createLog("silent"), platform);

async function refused(words: readonly string[], message: RegExp): Promise<void> {
  await assert.rejects(select(words), { name: "UsageError", message }, words.join(" "));
}

async function fileWith(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

test("a GGUF file makes a llama engine that has not started", async () => {
  const engine = await select([await fileWith("model.gguf", "GGUF and more")]);
  assert.deepEqual([engine.name, engine.state], ["llama", { t: "idle" }]);
});

test("a model that is missing, a folder, or another kind of file is said in a sentence", async () => {
  await refused([join(folder, "none.gguf")], /^The model ".*none\.gguf" does not exist; .*downloads nothing\.$/);
  await refused([folder, "--engine", "llama"], /is a folder; give the path of a GGUF file in it\.$/);
  await refused([await fileWith("x.gguf", "PK")], /is not a GGUF file: it does not begin with the letters GGUF\.$/);
  await refused([await fileWith("empty.gguf", "")], /is not a GGUF file/);
  await refused([join(await fileWith("plain", ""), "m.gguf")], /does not exist/);
  await refused(["/dev/null", "--engine", "llama"], /is not a regular file/);
});

test("a machine without a binary for it is told which package or system it needs", () => {
  const refusedOn = (platform: Partial<Platform>, message: string | RegExp): void =>
    assert.throws(() => assertLlamaRunsHere({ ...linux, ...platform }), { name: "UsageError", message });
  assertLlamaRunsHere(linux);
  assertLlamaRunsHere({ ...linux, arch: "arm64" });
  refusedOn({ os: "sunos" }, /^The llama engine has no binary for sunos x64; it runs on linux x64 and linux arm64\.$/);
  refusedOn({ libc: "musl" }, /needs glibc, and this system has musl/);
  refusedOn(
    { arch: "arm64", hasPackage: () => false },
    `The llama engine's binary is missing: the optional package @node-llama-cpp/linux-arm64 is not installed; install it with: npm install @node-llama-cpp/linux-arm64@${llamaPackageVersion}`,
  );
});

test("the package that the sentence names is the one in package.json", async () => {
  const facts = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  for (const name of ["@node-llama-cpp/linux-arm64", "@node-llama-cpp/linux-x64"]) {
    assert.equal(facts.optionalDependencies[name], llamaPackageVersion);
  }
});

test("a model's folder makes a vLLM engine that has not started", async () => {
  const engine = await select([demoFolder, "--engine-core-address", "tcp://127.0.0.1:0"]);
  assert.deepEqual([engine.name, engine.state], ["vllm", { t: "idle" }]);
});

test("a folder that is missing or no model's is said in a sentence", async () => {
  const vllm = (path: string): string[] => [path, "--engine", "vllm"];
  await refused(vllm(join(folder, "none")), /^The model ".*none" does not exist; .*downloads nothing\.$/);
  await refused(vllm(await fileWith("file.gguf", "GGUF")), /is no folder; the vLLM engine needs a model/);
  await refused(vllm(folder), /has no config\.json, so it is no model in Hugging Face's form\.$/);
});

test("a machine without vLLM is told what to install, before anything is started", async () => {
  await refused(
    [demoFolder, "--vllm-command", "no-such-vllm"],
    /^"no-such-vllm" was not found on the PATH; install vLLM with: pip install vllm, or name the program with --vllm-command\.$/,
  );
  await refused([demoFolder, "--vllm-command", "/none/vllm"], /^"\/none\/vllm" is no program that can be run/);
});

test("a machine without the client of vLLM's engine is told what to install", () => {
  const without = (name: string): Platform => ({ ...linux, hasPackage: (asked) => asked !== name });
  assertEngineCoreRunsHere(linux);
  const name = "@tokenwire/engine-core";
  assert.throws(() => assertEngineCoreRunsHere(without(name)), {
    name: "UsageError",
    message: `The vLLM engine needs the optional package ${name}, which is not installed; install it with: npm install ${name}`,
  });
});

test("the mock engine plays its script, with the limits of the command line", async () => {
  const script = await fileWith("script.json", '{"model": {"maxNumSeqs": 3, "vocabSize": 300}}');
  const engine = await select([
    "--engine",
    "mock",
    "--mock-script",
    script,
    "--max-num-seqs",
    "5",
    "--max-model-len",
    "64",
  ]);
  await engine.start();
  const { maxNumSeqs, maxModelLenTokens, vocabSize } = engine.facts();
  await engine.close(0);
  assert.deepEqual([maxNumSeqs, maxModelLenTokens, vocabSize], [5, 64, 300]);
});

test("a script that cannot be read or is none is said in a sentence", async () => {
  const mock = (path: string): string[] => ["--engine", "mock", "--mock-script", path];
  await refused(mock(join(folder, "none.json")), /^--mock-script: ".*" cannot be read: ENOENT/);
  await refused(mock(folder), /is not a file/);
  await refused(mock(await fileWith("broken.json", "{")), /is not JSON/);
  await refused(mock(await fileWith("wrong.json", '{"stepIntervalMs": -1}')), /^--mock-script: .*stepIntervalMs/);
});
