import type { EngineCoreClient, EngineCoreClientOptions, ReadyFacts } from "@tokenwire/engine-core";
import type { Log } from "../../operations/log.ts";
import type { EngineSource, LaunchEngine, LaunchedEngine, LaunchOptions } from "./engine-source.ts";
import { type EngineTenure, takeEngineTenure } from "./takeover/engine-tenure.ts";

export interface EngineLinkOptions {
  /** The model's folder, in Hugging Face's form. */
  readonly modelPath: string;
  readonly source: EngineSource;
  /** Where engines report, `tcp://host:port`; undefined is a free port of this machine alone. */
  readonly handshakeAddress: string | undefined;
  /** `tcp://` or `ipc://`; undefined is a free port beside the handshake's. */
  readonly inputAddress: string | undefined;
  readonly outputAddress: string | undefined;
  readonly dataParallelSize: number;
  /** Where the next front end finds what it needs to take the engines over; undefined: engines of ours have a file of their own. */
  readonly statePath?: string | undefined;
  /** Leave engines of ours running at the end, for the next front end. Default false. */
  readonly keepEngine?: boolean | undefined;
  /** Starts engines of a managed source in place of `vllm serve`; nothing is left for a next front end then. */
  readonly launch?: LaunchEngine | undefined;
  readonly log: Log;
}

/** What an engine link tells whoever made it. */
export type EngineLinkEvents = Pick<EngineCoreClientOptions, "onOutputs" | "onDeath" | "onReturn" | "onBadFrame"> &
  Pick<LaunchOptions, "onProgress" | "onExit">;

/** Engines that are ready, with the answer of the first to `get_supported_tasks`. */
export interface LinkedEngines {
  readonly client: EngineCoreClient;
  readonly ready: readonly ReadyFacts[];
  readonly tasks: readonly string[];
  /** They were taken over from an earlier front end. */
  readonly wereRunning: boolean;
}

type AnsweringEngines = Omit<LinkedEngines, "wereRunning">;

const localHandshake = "tcp://127.0.0.1:*";
/** An engine that runs and is ours can be reached within a fraction of a second, or is beyond help. */
const takeoverLimitMs = 10_000;
/** It may be in the middle of a step that compiles, which takes a minute; one that is silent for longer hangs. */
const firstAnswerLimitMs = 120_000;

/**
 * The way to the engines: binds the sockets, starts the engines or takes running ones over, and waits until they are ready.
 * Whoever makes it ends it with {@link EngineLink.release}.
 */
export class EngineLink {
  readonly #options: EngineLinkOptions;
  readonly #events: EngineLinkEvents;
  #client: EngineCoreClient | undefined;
  #tenure: EngineTenure | undefined;
  #launched: LaunchedEngine | undefined;

  constructor(options: EngineLinkOptions, events: EngineLinkEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Undefined before the sockets are bound, and after the release. */
  get client(): EngineCoreClient | undefined {
    return this.#client;
  }

  get processIds(): readonly number[] {
    return this.#launched?.processIds ?? [];
  }

  /** Resolves when all engines are ready. Rejects with the signal's reason; the release is the caller's in every case. */
  async connect(signal: AbortSignal): Promise<LinkedEngines> {
    this.#tenure = await takeEngineTenure(this.#options);
    const linked = await this.#takeOverOrWait(this.#tenure, signal);
    signal.throwIfAborted();
    this.#tenure.remember(linked.client.remember());
    return { ...linked, wereRunning: this.#tenure.resume !== undefined };
  }

  /** Closes our sockets and stops the engines that we started, unless they are to be kept; those of others live on. */
  async release(): Promise<void> {
    const client = this.#client;
    const tenure = this.#tenure;
    this.#client = undefined;
    this.#tenure = undefined;
    this.#launched = undefined;
    await client?.close();
    await tenure?.end();
  }

  async #takeOverOrWait(tenure: EngineTenure, signal: AbortSignal): Promise<AnsweringEngines> {
    const { resume } = tenure;
    const client = await this.#bind(tenure);
    signal.throwIfAborted();
    // Engines of others may come whenever they like; ours is there or will never be.
    const isOurs = resume !== undefined && this.#options.source.t === "managed";
    if (!isOurs) {
      this.#launch(client, tenure, this.#events.onExit);
      return ask(client, await client.ready(signal), signal);
    }
    const limit = new AbortController();
    let isTaken = false;
    this.#launch(client, tenure, (reason, lastLines) => {
      if (isTaken) this.#events.onExit(reason, lastLines);
      else limit.abort();
    });
    let timer = setTimeout(() => limit.abort(), takeoverLimitMs);
    const either = AbortSignal.any([signal, limit.signal]);
    try {
      const ready = await client.ready(either);
      clearTimeout(timer);
      timer = setTimeout(() => limit.abort(), firstAnswerLimitMs);
      const linked = await ask(client, ready, either);
      isTaken = true;
      return linked;
    } catch (thrown) {
      if (!limit.signal.aborted || signal.aborted) throw thrown;
      this.#options.log.warn({ engine: "vllm" }, "the running engine does not answer, or has ended; a new one starts");
      await client.close();
      await tenure.discard();
      return this.#takeOverOrWait(tenure, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A rank that is served by another process now has other facts. */
  #rememberAgain(): void {
    const engines = this.#client?.remember();
    // A rank that is away is not in it, and half a state takes nothing over.
    if (engines?.engines.length !== this.#options.dataParallelSize) return;
    try {
      this.#tenure?.remember(engines);
    } catch (thrown) {
      this.#options.log.warn({ engine: "vllm", err: thrown }, "the engines cannot be taken over at the next start");
    }
  }

  async #bind({ resume, addresses }: EngineTenure): Promise<EngineCoreClient> {
    const { handshakeAddress, inputAddress, outputAddress, dataParallelSize } = this.#options;
    // Optional: who serves GGUF files need not have it.
    const { createEngineCoreClient } = await import("@tokenwire/engine-core");
    this.#client = await createEngineCoreClient({
      handshakeAddress: handshakeAddress ?? localHandshake,
      inputAddress: inputAddress ?? addresses?.input,
      outputAddress: outputAddress ?? addresses?.output,
      engineCount: dataParallelSize,
      resume,
      ...this.#events,
      onReturn: (rank, facts) => {
        this.#rememberAgain();
        this.#events.onReturn?.(rank, facts);
      },
    });
    return this.#client;
  }

  #launch(client: EngineCoreClient, tenure: EngineTenure, onExit: LaunchOptions["onExit"]): void {
    const { modelPath, dataParallelSize, log } = this.#options;
    const { handshake } = client.addresses;
    this.#launched = tenure.launch({
      modelPath,
      handshake: hostAndPort(handshake),
      dataParallelSize,
      onProgress: this.#events.onProgress,
      onExit,
    });
    if (this.#launched === undefined && tenure.resume === undefined) {
      log.info({ engine: "vllm", address: handshake }, "waiting for engines of vllm serve --headless");
    }
  }
}

async function ask(
  client: EngineCoreClient,
  ready: readonly ReadyFacts[],
  signal: AbortSignal,
): Promise<AnsweringEngines> {
  const tasks = await client.call(0, "get_supported_tasks", [], signal);
  return { client, ready, tasks: Array.isArray(tasks) ? tasks.filter((name) => typeof name === "string") : [] };
}

/** A path has neither; `vllm serve` is never given one, because the flag takes TCP alone. */
function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const [, host = "", port = "0"] = /^tcp:\/\/(.*):(\d+)$/.exec(address) ?? [];
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}
