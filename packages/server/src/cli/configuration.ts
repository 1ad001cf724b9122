import type { EngineSource } from "../engines/vllm/engine-source.ts";
import type { HealthAlias } from "../health/names.ts";
import type { HealthThresholds } from "../health/thresholds.ts";
import type { LogLevel } from "../operations/log.ts";

/** What stands behind the server. */
export type EngineChoice =
  /** Embedded llama.cpp with a GGUF file. */
  | { readonly t: "llama"; readonly modelPath: string }
  /** The scripted engine. Without a file it plays its built-in script. */
  | { readonly t: "mock"; readonly scriptPath: string | undefined }
  /** vLLM's engine cores, with a model's folder in Hugging Face's form. */
  | {
      readonly t: "vllm";
      readonly modelPath: string;
      readonly source: EngineSource;
      /** Where engines report, `tcp://host:port`; undefined is a free port of this machine alone. */
      readonly handshakeAddress: string | undefined;
      /** `tcp://` or `ipc://`; undefined is a free port beside the handshake's. */
      readonly inputAddress: string | undefined;
      readonly outputAddress: string | undefined;
      readonly dataParallelSize: number;
      /** Where the next start finds what it needs to take running engines over. */
      readonly statePath: string | undefined;
      /** Leave an engine that we started running at the end. */
      readonly keepEngine: boolean;
    };

/** Where the second port listens, which answers health from a thread of its own. */
export interface HealthAddress {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
}

/** Paths of PEM files with which the main port speaks TLS. */
export interface ServeTls {
  readonly certPath: string;
  readonly keyPath: string;
  /** Roots of client certificates, which every client then has to show. */
  readonly clientCaPath: string | undefined;
}

/** Everything `tokenwire serve` was asked for, validated. Undefined leaves a value to the engine. */
export interface ServeConfiguration {
  readonly engine: EngineChoice;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Undefined: health is answered on the main port alone. */
  readonly health: HealthAddress | undefined;
  readonly healthThresholds: HealthThresholds;
  readonly healthAliases: readonly HealthAlias[];
  /** Where metrics are served, on {@link host}; 0 takes a free port, undefined serves none. */
  readonly metricsPort: number | undefined;
  readonly servedModelName: string;
  /** Prompt and output together, per sequence. */
  readonly maxModelLenTokens: number | undefined;
  readonly maxNumSeqs: number | undefined;
  readonly maxNumBatchedTokens: number | undefined;
  readonly kvCacheMemoryBytes: number | undefined;
  readonly threads: number | undefined;
  /** How long new requests are still served after a signal, while balancers notice. */
  readonly withdrawalGraceMs: number;
  /** How long requests in flight may run on after that. 0 ends them at once. */
  readonly drainTimeoutMs: number;
  /** Of the main port; undefined speaks plaintext. */
  readonly tls: ServeTls | undefined;
  /** 0 sets no bound. */
  readonly maxMessageBytes: number;
  /** Connections of the main port at a time; more are closed as they come. */
  readonly maxConnections: number;
  /** Calls that one connection may have open; more wait at the client. */
  readonly maxStreams: number;
  /** A request that would be one more is answered RESOURCE_EXHAUSTED. 0 admits only what can run at once. */
  readonly maxWaitingRequests: number;
  /** A request that comes while so many prompt tokens wait is answered RESOURCE_EXHAUSTED. Undefined sets no bound. */
  readonly maxQueuedPromptTokens: number | undefined;
  /** Where StartProfile may write. Undefined: nowhere. */
  readonly profileDir: string | undefined;
  readonly logStats: boolean;
  readonly logLevel: LogLevel;
}

/** Everything `tokenwire probe` was asked for, validated. */
export interface ProbeConfiguration {
  readonly host: string;
  readonly port: number;
  /** "" is the server as a whole. */
  readonly service: string;
  readonly connectTimeoutMs: number;
  readonly rpcTimeoutMs: number;
  readonly userAgent: string;
  readonly headers: readonly RpcHeader[];
  /** Print the reason and times too. */
  readonly verbose: boolean;
  /** Undefined asks once. */
  readonly watch: ProbeWatch | undefined;
  readonly tls: ProbeTls | undefined;
}

export interface ProbeWatch {
  /** The status that is waited for; undefined watches on. */
  readonly until: "SERVING" | "NOT_SERVING" | undefined;
  /** Undefined has no end. */
  readonly timeoutMs: number | undefined;
}

export interface RpcHeader {
  readonly name: string;
  readonly value: string;
}

/** Paths of PEM files; the system's authorities judge when there is no `caCertPath`. */
export interface ProbeTls {
  readonly caCertPath: string | undefined;
  readonly client: { readonly certPath: string; readonly keyPath: string } | undefined;
  readonly verify: boolean;
  readonly serverName: string | undefined;
}

/** Everything `tokenwire generate` was asked for, validated. Undefined leaves a value to the server. */
export interface GenerateConfiguration {
  readonly text: string;
  readonly host: string;
  readonly port: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number | undefined;
  readonly topK: number | undefined;
  readonly seed: number | undefined;
  readonly stop: readonly string[];
  readonly system: string | undefined;
  /** The text is the prompt as it is, without the model's chat template. */
  readonly raw: boolean;
  /** For the whole command. Undefined: as long as it takes. */
  readonly timeoutMs: number | undefined;
  /** One JSON object at the end instead of text as it comes. */
  readonly json: boolean;
  readonly verbose: boolean;
}
