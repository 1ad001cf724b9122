/** Where vLLM's engine cores come from. */
export type EngineSource =
  /** Somebody else starts them with `vllm serve --headless`, here or on other machines; we wait for them. */
  | { readonly t: "attached" }
  /** We start them on this machine: `command serve MODEL --headless … args`. */
  | { readonly t: "managed"; readonly command: string; readonly args: readonly string[] };

/** What a launcher needs to start engines that find us. Our sockets are bound when it is called. */
export interface LaunchOptions {
  readonly modelPath: string;
  /** Where the engines say HELLO: `--data-parallel-address` and `--data-parallel-rpc-port`. */
  readonly handshake: { readonly host: string; readonly port: number };
  readonly dataParallelSize: number;
  /** Told of each step of the start; the fraction is in [0, 1], undefined while unknown. */
  onProgress(fraction: number | undefined): void;
  /**
   * Called once when the engine's process has ended without being asked to. `reason` is a sentence, `lastLines` what it
   * wrote last.
   */
  onExit(reason: string, lastLines: readonly string[]): void;
}

/** An engine that was started, or taken over from an earlier front end. */
export interface LaunchedEngine {
  /** The processes that compute, as far as they are known now: the engine cores and their workers. */
  readonly processIds: readonly number[];
  /** SIGTERM, then SIGKILL to the whole group. Resolves when nothing is left. Idempotent. */
  stop(): Promise<void>;
}

/** Starts an engine's process; throws `failed-precondition` with a sentence when it cannot. */
export type LaunchEngine = (options: LaunchOptions) => LaunchedEngine;
