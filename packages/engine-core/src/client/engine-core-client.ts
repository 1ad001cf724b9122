import type { DeathCause, EngineCoreError } from "../engine-core-error.ts";
import type { EngineCoreOutputs } from "../protocol/outputs.ts";
import type { ReadyFacts } from "../protocol/ready-response.ts";
import type { EngineCoreRequest, WireValue } from "../protocol/request.ts";

/** How a client is made. It binds three sockets; engines connect to all of them. */
export interface EngineCoreClientOptions {
  /**
   * Where engines say HELLO: `tcp://HOST:PORT` (port `*` takes a free one) or `ipc://PATH`. It is what engines are given
   * as `--data-parallel-address` and `--data-parallel-rpc-port`.
   */
  readonly handshakeAddress: string;
  /** Where engines read requests and write outputs; by default free ports on the handshake's host. */
  readonly inputAddress?: string | undefined;
  readonly outputAddress?: string | undefined;
  /**
   * The host that engines are told in place of the bound one. By default it is the bound one, and for `0.0.0.0` the address
   * at which an engine came to the handshake.
   */
  readonly advertisedHost?: string | undefined;
  /** Data-parallel engines to wait for: ranks 0 to count - 1. Default 1. */
  readonly engineCount?: number | undefined;
  /** Facts of engines that run already and were another client's: they are taken over without a handshake. */
  readonly resume?: RememberedEngines | undefined;
  /**
   * Each message of each engine, in order, synchronously, with the outputs of one scheduler step in it. Outputs of
   * requests that are not ours come too.
   */
  onOutputs(message: EngineCoreOutputs): void;
  /** Once for each engine that dies. Its calls in flight have been rejected. */
  onDeath(engineIndex: number, cause: DeathCause, error: EngineCoreError): void;
  /**
   * Bytes that were dropped because they are not what the wire says; the engine they came from goes on. See
   * `lostOutputsOf` in the fault for the requests that have to end.
   */
  onBadFrame(error: EngineCoreError): void;
  /**
   * A rank that was dead is back: another process said HELLO and is ready, or the same one reads its input again. What it has
   * of ours is taken back.
   */
  onReturn?(engineIndex: number, facts: ReadyFacts): void;
}

/** Enough to take over running engines from another process. It is JSON. */
export interface RememberedEngines {
  readonly version: 1;
  readonly handshakeAddress: string;
  readonly inputAddress: string;
  readonly outputAddress: string;
  readonly engines: readonly ReadyFacts[];
}

/** What is known of an engine's connection. */
export type EngineConnection =
  | { readonly t: "waiting" }
  | { readonly t: "ready"; readonly facts: ReadyFacts }
  | { readonly t: "dead"; readonly cause: DeathCause };

/** A front end's half of the wire to vLLM's EngineCore. Who made it closes it. */
export interface EngineCoreClient {
  /** The addresses as bound, known as soon as the client exists. */
  readonly addresses: { readonly handshake: string; readonly input: string; readonly output: string };
  /** By rank. */
  readonly engines: readonly EngineConnection[];
  /** The machine that an engine is on, as its connection shows; undefined for a Unix socket and while it is not connected. */
  engineHost(engineIndex: number): string | undefined;
  /**
   * Resolves with the facts of all engines, by rank, when each is ready; with `resume`, when each can be reached
   * again. Rejects with `closed`, and when the signal aborts. Without a limit of its own.
   */
  ready(signal?: AbortSignal): Promise<readonly ReadyFacts[]>;
  /** Hands a request to an engine. Throws `dead`, `not-ready` or `closed`, and then nothing was sent. */
  add(engineIndex: number, request: EngineCoreRequest): void;
  /**
   * Takes requests back. The engine says nothing of them any more, except what is on its way already. Unknown ids do
   * nothing; so does a dead engine.
   */
  abort(engineIndex: number, requestIds: readonly string[]): void;
  /**
   * Calls a utility method of the engine's scheduler loop, such as `is_sleeping` or `collective_rpc`. Resolves with its
   * result, rejects with `call-failed`, `dead`, `not-ready` or `closed`. No deadline: who calls decides how long silence
   * is bearable. Never put a timeout into the arguments of `collective_rpc`: when it expires, vLLM 0.32 takes the late
   * answer for the next step's output and dies. An aborted signal forgets the call.
   */
  call(engineIndex: number, method: string, args?: readonly WireValue[], signal?: AbortSignal): Promise<unknown>;
  /** Declares an engine dead, for who owns its process and saw it exit. */
  tellDead(engineIndex: number, sentence: string): void;
  /** What another process needs to take over, once {@link EngineCoreClient.ready} has resolved. */
  remember(): RememberedEngines;
  /** Closes the sockets; calls in flight reject with `closed`. The engines live on. Idempotent. */
  close(): Promise<void>;
}
