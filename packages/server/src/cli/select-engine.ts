import { existsSync } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import type { EngineSource } from "../engines/vllm/engine-source.ts";
import { findCommand, missingCommand } from "../engines/vllm/process/find-command.ts";
import type { Log } from "../operations/log.ts";
import type { EngineChoice, ServeConfiguration } from "./configuration.ts";
import { UsageError } from "./usage-error.ts";

/** The machine as far as it decides which binary fits. */
export interface Platform {
  /** As in `process.platform`. */
  readonly os: string;
  /** As in `process.arch`. */
  readonly arch: string;
  /** The C library, on Linux: binaries built for one do not run on the other. */
  readonly libc: "glibc" | "musl" | undefined;
  /** True when a package can be loaded from here. */
  hasPackage(name: string): boolean;
}

/** The version of the platform packages, as in package.json's optionalDependencies. */
export const llamaPackageVersion = "3.22.1";

const llamaPackages: ReadonlyMap<string, string> = new Map([
  ["linux x64", "@node-llama-cpp/linux-x64"],
  ["linux arm64", "@node-llama-cpp/linux-arm64"],
]);

/**
 * Makes the engine that was chosen; it is not started. What can be known to be wrong before anything runs is thrown as a
 * {@link UsageError}: no model file, no binary for this machine, a script that does not parse.
 */
export async function selectEngine(
  configuration: ServeConfiguration,
  log: Log,
  platform: Platform = thisPlatform(),
): Promise<Engine> {
  const choice: EngineChoice = configuration.engine;
  switch (choice.t) {
    case "llama": {
      assertLlamaRunsHere(platform);
      await assertModelFile(choice.modelPath);
      const { createLlamaEngine } = await import("../engines/llama/llama-engine.ts");
      const { maxModelLenTokens, maxNumSeqs, maxNumBatchedTokens, threads, kvCacheMemoryBytes } = configuration;
      return createLlamaEngine({
        modelPath: choice.modelPath,
        maxModelLenTokens,
        maxNumSeqs,
        maxNumBatchedTokens,
        threads,
        kvCacheMemoryBytes,
        log,
      });
    }
    case "vllm": {
      assertEngineCoreRunsHere(platform);
      await assertModelFolder(choice.modelPath);
      assertVllmCommand(choice.source);
      const { createVllmEngine } = await import("../engines/vllm/vllm-engine.ts");
      const { source, ...rest } = choice;
      return createVllmEngine({ ...rest, source: withLimits(source, configuration), log });
    }
    case "mock": {
      const { createMockEngine } = await import("../engines/mock/mock-engine.ts");
      const { parseMockScript } = await import("../engines/mock/mock-script.ts");
      const script = parseScript(
        choice.scriptPath === undefined ? {} : await readScript(choice.scriptPath),
        parseMockScript,
      );
      const { maxModelLenTokens, maxNumSeqs } = configuration;
      return createMockEngine({
        ...script,
        model: {
          ...script.model,
          ...(maxModelLenTokens === undefined ? {} : { maxModelLenTokens }),
          ...(maxNumSeqs === undefined ? {} : { maxNumSeqs }),
        },
      });
    }
  }
}

/** Throws a {@link UsageError} with one sentence when the llama engine has no binary for this machine. */
export function assertLlamaRunsHere(platform: Platform): void {
  const name = llamaPackages.get(`${platform.os} ${platform.arch}`);
  if (name === undefined) {
    throw new UsageError(
      `The llama engine has no binary for ${platform.os} ${platform.arch}; it runs on ${[...llamaPackages.keys()].join(" and ")}.`,
    );
  }
  if (platform.libc === "musl") {
    throw new UsageError(
      "The llama engine's binary needs glibc, and this system has musl (Alpine); use a glibc image such as node:24-slim.",
    );
  }
  if (!platform.hasPackage(name)) {
    throw new UsageError(
      `The llama engine's binary is missing: the optional package ${name} is not installed; install it with: npm install ${name}@${llamaPackageVersion}`,
    );
  }
}

/** Throws a {@link UsageError} with one sentence when what speaks to vLLM's engine is not installed. */
export function assertEngineCoreRunsHere(platform: Platform): void {
  if (platform.hasPackage("@tokenwire/engine-core")) return;
  throw new UsageError(
    "The vLLM engine needs the optional package @tokenwire/engine-core, which is not installed; install it with: npm install @tokenwire/engine-core",
  );
}

/** Limits that tokenwire has under vLLM's names go to an engine that we start. */
function withLimits(source: EngineSource, configuration: ServeConfiguration): EngineSource {
  if (source.t === "attached") return source;
  const { maxModelLenTokens, maxNumSeqs, maxNumBatchedTokens, kvCacheMemoryBytes } = configuration;
  const limits = {
    "--max-model-len": maxModelLenTokens,
    "--max-num-seqs": maxNumSeqs,
    "--max-num-batched-tokens": maxNumBatchedTokens,
    "--kv-cache-memory-bytes": kvCacheMemoryBytes,
  };
  const given = Object.entries(limits).flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)]));
  return { ...source, args: [...given, ...source.args] };
}

function thisPlatform(): Platform {
  return {
    os: process.platform,
    arch: process.arch,
    libc: process.platform === "linux" ? linuxLibc() : undefined,
    hasPackage: (name) => {
      try {
        // A package of ours in a clone is there before it is built, so its entry is not asked for.
        createRequire(import.meta.url).resolve(name.startsWith("@tokenwire/") ? `${name}/package.json` : name);
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Node was linked against one of the two, and its dynamic loader stands at a fixed path. */
function linuxLibc(): "glibc" | "musl" {
  const loader = process.arch === "arm64" ? "aarch64" : "x86_64";
  const musl = existsSync(`/lib/ld-musl-${loader}.so.1`);
  const glibc = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib64/ld-linux-aarch64.so.1"];
  // Both can be installed; then glibc is there, which is what the binary asks for.
  return musl && !glibc.some((path) => existsSync(path)) ? "musl" : "glibc";
}

/** What starts the engine has to be there before anything else is started. */
function assertVllmCommand(source: EngineSource): void {
  if (source.t === "managed" && findCommand(source.command) === undefined) {
    throw new UsageError(missingCommand(source.command));
  }
}

async function assertModelFolder(path: string): Promise<void> {
  const named = `The model ${JSON.stringify(path)}`;
  const facts = await stat(path).catch(() => undefined);
  if (facts === undefined) {
    throw new UsageError(
      `${named} does not exist; the vLLM engine needs a local folder with the model in Hugging Face's form, and downloads nothing.`,
    );
  }
  if (!facts.isDirectory()) {
    throw new UsageError(`${named} is no folder; the vLLM engine needs a model in Hugging Face's form.`);
  }
  if (!existsSync(join(path, "config.json"))) {
    throw new UsageError(`${named} has no config.json, so it is no model in Hugging Face's form.`);
  }
}

const ggufMagic = "GGUF";

async function assertModelFile(path: string): Promise<void> {
  const named = `The model ${JSON.stringify(path)}`;
  try {
    const facts = await stat(path);
    if (facts.isDirectory()) {
      throw new UsageError(`${named} is a folder; give the path of a GGUF file in it.`);
    }
    if (!facts.isFile()) throw new UsageError(`${named} is not a regular file.`);
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ggufMagic.length), 0, ggufMagic.length, 0);
    if (buffer.toString("latin1", 0, bytesRead) !== ggufMagic) {
      throw new UsageError(`${named} is not a GGUF file: it does not begin with the letters GGUF.`);
    }
  } catch (thrown) {
    if (thrown instanceof UsageError) throw thrown;
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new UsageError(`${named} does not exist; the llama engine serves local GGUF files and downloads nothing.`);
    }
    throw new UsageError(`${named} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}.`);
  }
}

/** A script is written by hand; one this large is another file. */
const maxScriptBytes = 16 * 1024 * 1024;

async function readScript(path: string): Promise<unknown> {
  const named = `--mock-script: ${JSON.stringify(path)}`;
  try {
    const facts = await stat(path);
    if (!facts.isFile()) throw new UsageError(`${named} is not a file.`);
    if (facts.size > maxScriptBytes) throw new UsageError(`${named} is larger than ${maxScriptBytes} bytes.`);
    return JSON.parse(await readFile(path, "utf8"));
  } catch (thrown) {
    if (thrown instanceof UsageError) throw thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new UsageError(`${named} ${thrown instanceof SyntaxError ? "is not JSON" : "cannot be read"}: ${reason}.`);
  }
}

function parseScript<Script>(json: unknown, parse: (json: unknown) => Script): Script {
  try {
    return parse(json);
  } catch (thrown) {
    if (thrown instanceof EngineError) throw new UsageError(`--mock-script: ${thrown.message}.`);
    throw thrown;
  }
}
