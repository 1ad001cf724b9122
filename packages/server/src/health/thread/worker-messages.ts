import type { LogLevel } from "../../operations/log.ts";
import type { ListenAddress } from "../../rpc/server.ts";
import type { HealthClass } from "./mirrored-health.ts";

/** What the worker is started with. */
export interface WorkerOptions {
  /** Of a `BoardMemory`. */
  readonly memory: SharedArrayBuffer;
  readonly address: ListenAddress;
  readonly classes: ReadonlyMap<string, HealthClass>;
  readonly stallMs: number;
  readonly hangTimeoutMs: number;
  readonly tickMs: number;
  readonly logLevel: LogLevel;
}

export type FromWorker =
  | { readonly t: "listening"; readonly address: ListenAddress }
  /** The worker ends after it. `code` is the system's word, as in `ListenError`. */
  | { readonly t: "listen-failed"; readonly code: string; readonly message: string };

/** The worker ends its calls with the reason, closes the port and exits. */
export interface ToWorker {
  readonly t: "close";
  readonly reason: string;
}
