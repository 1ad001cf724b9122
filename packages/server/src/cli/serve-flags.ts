import { existsSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Command } from "commander";
import type { LogLevel } from "../operations/log.ts";
import type { EngineChoice, HealthAddress, ServeConfiguration, ServeTls } from "./configuration.ts";
import { CommandFlags, type FlagReader } from "./flags.ts";
import { declareHealthFlags } from "./health-flags.ts";
import { UsageError } from "./usage-error.ts";
import { integer, oneOf, scaledInteger, seconds, text } from "./value-parsers.ts";
import { declareVllmFlags } from "./vllm-flags.ts";

// A copy of operations/log.ts: importing it would load the logger before we know that anything is to be logged.
const levels = ["debug", "info", "warn", "error", "silent"] as const satisfies readonly LogLevel[];

const maxInt32 = 2 ** 31 - 1;

/**
 * Declares the flags of `serve` on the command; the reader gives the configuration or throws a UsageError. `behindDashes`
 * are the words after `--`, which are vLLM's.
 */
export function declareServeFlags(command: Command, behindDashes: readonly string[]): FlagReader<ServeConfiguration> {
  const flags = new CommandFlags(command);

  flags.group("Model");
  const engine = flags.optional({
    flag: "--engine <name>",
    description:
      "llama (a GGUF file), vllm (a model's folder), or mock (scripted, no model); default: by the form of MODEL",
    parse: oneOf(["llama", "mock", "vllm"]),
  });
  const servedModelName = flags.optional({
    flag: "--served-model-name <name>",
    description: "the name that clients see (default: the name of the file or folder, without .gguf)",
    parse: text,
  });
  const mockScript = flags.optional({
    flag: "--mock-script <file>",
    description: "what the mock engine plays, as JSON",
    parse: text,
  });

  flags.group("Network");
  const host = flags.value({
    flag: "--host <host>",
    description: "address to listen on",
    parse: text,
    fallback: "0.0.0.0",
  });
  const port = flags.value({
    flag: "--port <port>",
    description: "port to listen on; 0 takes a free one",
    parse: integer({ from: 0, to: 65535 }),
    fallback: "50051",
  });
  const healthPort = flags.optional({
    flag: "--health-port <port>",
    description: "also answer health, and nothing else, on this port, from a thread of its own; 0 takes a free one",
    parse: integer({ from: 0, to: 65535 }),
  });
  const healthHost = flags.optional({
    flag: "--health-host <host>",
    description: "address for --health-port (default: that of --host)",
    parse: text,
  });
  const metricsPort = flags.optional({
    flag: "--metrics-port <port>",
    description: "serve metrics for Prometheus on http://HOST:PORT/metrics; 0 takes a free port (default: off)",
    parse: integer({ from: 0, to: 65535 }),
  });
  const maxMessageBytes = flags.value({
    flag: "--max-message-bytes <bytes>",
    description: "largest gRPC message taken from a client; 0 sets no bound",
    parse: scaledInteger({ from: 0, to: maxInt32 }),
    fallback: "64M",
  });
  const maxConnections = flags.value({
    flag: "--max-connections <count>",
    description: "connections at a time; more are closed as they come",
    parse: integer({ from: 1, to: 1_000_000 }),
    fallback: "65536",
  });
  const maxStreams = flags.value({
    flag: "--max-streams <count>",
    description: "calls that one connection may have open; more wait at the client",
    parse: integer({ from: 1, to: 1_000_000 }),
    fallback: "16384",
  });
  const tlsCert = flags.optional({
    flag: "--tls-cert <file>",
    description: "speak TLS on --port with this certificate (PEM, with its chain); read again when it changes",
    parse: text,
  });
  const tlsKey = flags.optional({
    flag: "--tls-key <file>",
    description: "the key of --tls-cert (PEM)",
    parse: text,
  });
  const tlsClientCa = flags.optional({
    flag: "--tls-client-ca <file>",
    description: "take only clients with a certificate of these authorities (PEM)",
    parse: text,
  });

  flags.group("Engine");
  const maxModelLenTokens = flags.optional({
    flag: "--max-model-len <tokens>",
    description: "prompt and output together, per request (default: from the model)",
    parse: scaledInteger({ from: 1, to: maxInt32 }),
  });
  const maxNumSeqs = flags.optional({
    flag: "--max-num-seqs <count>",
    description: "sequences that run at once (default: the engine's choice)",
    parse: integer({ from: 1, to: 256 }),
  });
  const maxNumBatchedTokens = flags.optional({
    flag: "--max-num-batched-tokens <tokens>",
    description: "tokens of one engine step (default: the engine's choice)",
    parse: scaledInteger({ from: 1, to: maxInt32 }),
  });
  const kvCacheMemoryBytes = flags.optional({
    flag: "--kv-cache-memory-bytes <bytes>",
    description: "memory for the KV cache (default: the engine's choice)",
    parse: scaledInteger({ from: 1, to: Number.MAX_SAFE_INTEGER }),
  });
  const threads = flags.optional({
    flag: "--threads <count>",
    description: "CPU threads of the engine (default: the engine's choice)",
    parse: integer({ from: 1, to: 1024 }),
  });

  const vllm = declareVllmFlags(flags);

  const maxWaitingRequests = flags.value({
    flag: "--max-waiting-requests <count>",
    description: "answer RESOURCE_EXHAUSTED to a request when so many wait already; 0 admits only what runs at once",
    parse: integer({ from: 0, to: 1_000_000 }),
    fallback: "1024",
  });

  const maxQueuedPromptTokens = flags.optional({
    flag: "--max-queued-prompt-tokens <tokens>",
    description: "answer RESOURCE_EXHAUSTED to a request when so many prompt tokens wait for their first output",
    parse: scaledInteger({ from: 1, to: maxInt32 }),
  });
  const profileDir = flags.optional({
    flag: "--profile-dir <folder>",
    description: "let StartProfile write CPU profiles into this folder (default: profiles are refused)",
    parse: existingFolder,
  });

  flags.group("Health");
  const { healthThresholds, healthAliases } = declareHealthFlags(flags);

  flags.group("Lifecycle");
  const withdrawalGraceMs = flags.value({
    flag: "--withdrawal-grace <seconds>",
    description: "after SIGTERM, keep taking requests this long while balancers notice",
    parse: seconds({ from: 0, to: 3600 }),
    fallback: "5",
  });
  const drainTimeoutMs = flags.value({
    flag: "--drain-timeout <seconds>",
    description: "then let running requests go on this long; 0 ends them at once",
    parse: seconds({ from: 0, to: 86_400 }),
    fallback: "30",
  });
  flags.group("Logging");
  const disableLogStats = flags.onOff("--disable-log-stats", "no line of throughput every 10 seconds");
  const logLevel = flags.value({
    flag: "--log-level <level>",
    description: `${levels.join(", ")}; logs are JSON lines on standard error`,
    parse: oneOf(levels),
    fallback: "info",
  });

  return (environment) => {
    const model = command.args[0] ?? environment.TOKENWIRE_MODEL;
    const choice = chooseEngine({
      model,
      engine: engine(environment),
      mockScript: mockScript(environment),
      vllmFlags: [...vllm.given(environment), ...(behindDashes.length > 0 ? ["--"] : [])],
      chooseVllm: (modelPath) => vllm.choose(modelPath, behindDashes, environment),
    });
    const limits = {
      "--max-model-len": maxModelLenTokens(environment),
      "--max-num-seqs": maxNumSeqs(environment),
      "--max-num-batched-tokens": maxNumBatchedTokens(environment),
      "--kv-cache-memory-bytes": kvCacheMemoryBytes(environment),
      "--threads": threads(environment),
    };
    if (choice.t === "vllm") refuseLimits(choice, limits);
    return {
      engine: choice,
      host: host(environment),
      port: port(environment),
      health: healthAddress(healthPort(environment), healthHost(environment), host(environment)),
      healthThresholds: healthThresholds(environment),
      healthAliases: healthAliases(environment),
      metricsPort: metricsPort(environment),
      servedModelName: servedModelName(environment) ?? nameOf(choice),
      maxModelLenTokens: maxModelLenTokens(environment),
      maxNumSeqs: maxNumSeqs(environment),
      maxNumBatchedTokens: maxNumBatchedTokens(environment),
      kvCacheMemoryBytes: kvCacheMemoryBytes(environment),
      threads: threads(environment),
      withdrawalGraceMs: withdrawalGraceMs(environment),
      drainTimeoutMs: drainTimeoutMs(environment),
      tls: tlsPaths(tlsCert(environment), tlsKey(environment), tlsClientCa(environment)),
      maxMessageBytes: maxMessageBytes(environment),
      maxConnections: maxConnections(environment),
      maxStreams: maxStreams(environment),
      maxWaitingRequests: maxWaitingRequests(environment),
      maxQueuedPromptTokens: maxQueuedPromptTokens(environment),
      profileDir: profileDir(environment),
      logStats: !disableLogStats(environment),
      logLevel: logLevel(environment),
    };
  };
}

function existingFolder(source: string, path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path;
  throw new UsageError(`${source} must be a folder that exists, not ${JSON.stringify(path.slice(0, 80))}.`);
}

function healthAddress(
  port: number | undefined,
  host: string | undefined,
  mainHost: string,
): HealthAddress | undefined {
  if (port !== undefined) return { host: host ?? mainHost, port };
  if (host !== undefined) throw new UsageError("--health-host needs --health-port.");
  return undefined;
}

function tlsPaths(
  certPath: string | undefined,
  keyPath: string | undefined,
  clientCaPath: string | undefined,
): ServeTls | undefined {
  if (certPath !== undefined && keyPath !== undefined) return { certPath, keyPath, clientCaPath };
  if (certPath !== undefined) throw new UsageError("--tls-cert needs --tls-key.");
  if (keyPath !== undefined) throw new UsageError("--tls-key needs --tls-cert.");
  if (clientCaPath !== undefined) throw new UsageError("--tls-client-ca needs --tls-cert and --tls-key.");
  return undefined;
}

interface EngineWords {
  readonly model: string | undefined;
  readonly engine: "llama" | "mock" | "vllm" | undefined;
  readonly mockScript: string | undefined;
  /** What was given that only the vLLM engine has. */
  readonly vllmFlags: readonly string[];
  readonly chooseVllm: (modelPath: string) => EngineChoice;
}

function chooseEngine({ model, engine, mockScript, vllmFlags, chooseVllm }: EngineWords): EngineChoice {
  const isVllm = engine === "vllm" || (engine === undefined && model !== undefined && isModelFolder(model));
  if (!isVllm && vllmFlags[0] !== undefined) throw new UsageError(`${vllmFlags[0]} needs --engine vllm.`);
  if (engine === "mock") return { t: "mock", scriptPath: mockScript };
  if (mockScript !== undefined) throw new UsageError("--mock-script needs --engine mock.");
  if (model === undefined || model === "") {
    throw new UsageError(
      "serve needs a MODEL: the path of a GGUF file, as in tokenwire serve models/demo/tiny-f16.gguf, or of a model's folder for --engine vllm (--engine mock needs none).",
    );
  }
  if (isVllm) return chooseVllm(model);
  if (engine === "llama" || model.endsWith(".gguf")) return { t: "llama", modelPath: model };
  throw new UsageError(
    `${JSON.stringify(model)} is no GGUF file by its name, and no folder with a config.json; tokenwire serves local models and downloads nothing (--engine llama takes a file of any name).`,
  );
}

/** A model in Hugging Face's form, which vLLM's engine serves. */
function isModelFolder(path: string): boolean {
  return existsSync(join(path, "config.json"));
}

/** The limits of an engine that is vLLM's own are set where it is started. */
function refuseLimits(
  { source }: Extract<EngineChoice, { t: "vllm" }>,
  limits: Readonly<Record<string, number | undefined>>,
): void {
  for (const [flag, value] of Object.entries(limits)) {
    if (value === undefined) continue;
    if (flag === "--threads") throw new UsageError("--threads is a setting of the llama engine.");
    if (source.t === "attached") {
      throw new UsageError(`${flag} goes to vllm serve --headless; --engine-core-address starts no engine.`);
    }
  }
}

function nameOf(choice: EngineChoice): string {
  return choice.t === "mock" ? "mock" : basename(resolve(choice.modelPath)).replace(/\.gguf$/, "");
}
