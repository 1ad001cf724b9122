import { createHash } from "node:crypto";
import { realpathSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { RememberedEngines } from "@tokenwire/engine-core";
import type { Log } from "../../../operations/log.ts";
import type { EngineSource, LaunchEngine, LaunchedEngine, LaunchOptions } from "../engine-source.ts";
import { endGroup } from "../process/engine-process.ts";
import { adoptEngine, type EngineHandle, launchEngine } from "../process/launch-engine.ts";
import { isRunning } from "../process/process-identity.ts";
import { type EngineRequest, type EngineState, sameRequest } from "./engine-state.ts";
import { runtimeFolder } from "./runtime-folder.ts";
import { readStateFile, removeStateFile, writeStateFile } from "./state-file.ts";
import { type StateLock, takeStateLock } from "./state-lock.ts";

export interface EngineTenureOptions {
  readonly source: EngineSource;
  readonly modelPath: string;
  readonly dataParallelSize: number;
  /** `--engine-core-state`. Undefined: engines that we start have one of their own, others none. */
  readonly statePath?: string | undefined;
  /** Leave the engine running at the end, for the next front end. */
  readonly keepEngine?: boolean | undefined;
  /** In place of `vllm serve`; nothing is left for a next front end then. */
  readonly launch?: LaunchEngine | undefined;
  readonly log: Log;
  /** From SIGTERM to SIGKILL of an engine that is stopped. Default 5 s. */
  readonly stopGraceMs?: number | undefined;
}

/** One front end's time with its engines: what it takes over, starts, and leaves. Who took it ends it. */
export interface EngineTenure {
  /** Running engines to take over, for the client's `resume`; undefined: wait for new ones. */
  readonly resume: RememberedEngines | undefined;
  /**
   * Where engines that we start read and write, unless the user says otherwise: sockets in a folder of this user's, whose
   * names a later front end can bind again whatever other programs did meanwhile.
   */
  readonly addresses: { readonly input: string; readonly output: string } | undefined;
  /**
   * Starts the engine, or looks after the one that is taken over. Undefined for engines that somebody else starts.
   * Throws `failed-precondition`.
   */
  launch(options: LaunchOptions): LaunchedEngine | undefined;
  /** Keeps in mind what the next front end needs, once the engines are ready. */
  remember(engines: RememberedEngines): void;
  /** The engines that were to be taken over do not answer: ends them if they are ours, and forgets them. */
  discard(): Promise<void>;
  /** Ends an engine of ours, unless it is to be kept, and gives the state file free. Idempotent. */
  end(): Promise<void>;
}

/**
 * Looks at what an earlier front end has left. Engines of ours that were started for something else, or that were never
 * ready, are ended first. Throws `failed-precondition` when another front end has them.
 */
export async function takeEngineTenure(options: EngineTenureOptions): Promise<EngineTenure> {
  const request = requestOf(options);
  const statePath = options.launch === undefined ? (options.statePath ?? defaultStatePath(request)) : undefined;
  if (statePath === undefined) return new Tenure(options, request, undefined, undefined);
  const lock = takeStateLock(statePath);
  try {
    const found = readStateFile(statePath);
    const kept = found === undefined ? undefined : await keepOrEnd(found, request, options);
    if (kept === undefined) removeStateFile(statePath);
    return new Tenure(options, request, { path: statePath, lock }, kept);
  } catch (thrown) {
    lock.release();
    throw thrown;
  }
}

/** The state when its engines can be taken over. */
async function keepOrEnd(
  found: EngineState,
  request: EngineRequest,
  { log }: EngineTenureOptions,
): Promise<EngineState | undefined> {
  const { process: running, engines } = found;
  const isSame = sameRequest(found.request, request);
  if (running === undefined) return isSame && engines !== undefined ? found : undefined;
  const { identity } = running;
  if (!isRunning(identity)) {
    // Workers can outlive the program that started them.
    await endGroup(identity);
    log.info({ pid: identity.pid }, "the engine of an earlier start is gone; a new one starts");
    return undefined;
  }
  if (isSame && engines !== undefined) return found;
  const reason = isSame ? "was never ready" : "was started for something else";
  log.info({ pid: identity.pid, reason }, `the engine of an earlier start ${reason}; it ends now`);
  await adoptEngine({ ...running, log, onExit: () => {} }).stop();
  return undefined;
}

class Tenure implements EngineTenure {
  readonly #options: EngineTenureOptions;
  readonly #request: EngineRequest;
  readonly #file: { readonly path: string; readonly lock: StateLock } | undefined;
  #found: EngineState | undefined;
  #engine: EngineHandle | undefined;
  #launchedOtherwise: LaunchedEngine | undefined;
  #isReady = false;
  #ended: Promise<void> | undefined;

  constructor(
    options: EngineTenureOptions,
    request: EngineRequest,
    file: { readonly path: string; readonly lock: StateLock } | undefined,
    found: EngineState | undefined,
  ) {
    this.#options = options;
    this.#request = request;
    this.#file = file;
    this.#found = found;
  }

  get resume(): RememberedEngines | undefined {
    return this.#found?.engines;
  }

  get addresses(): { readonly input: string; readonly output: string } | undefined {
    const file = this.#file;
    if (this.#options.source.t === "attached" || file === undefined) return undefined;
    const name = join(runtimeFolder(), shortHash(file.path));
    return { input: `ipc://${name}.in`, output: `ipc://${name}.out` };
  }

  launch(options: LaunchOptions): LaunchedEngine | undefined {
    const { source, log, stopGraceMs } = this.#options;
    if (source.t === "attached") return undefined;
    if (this.#options.launch !== undefined) {
      this.#launchedOtherwise = this.#options.launch(options);
      return this.#launchedOtherwise;
    }
    const running = this.#found?.process;
    if (running !== undefined) {
      log.info({ pid: running.identity.pid }, "takes over the running engine");
      this.#engine = adoptEngine({ ...running, onExit: options.onExit, log, stopGraceMs });
      return this.#engine;
    }
    const { command, args } = source;
    const logPath = `${this.#file?.path ?? join(runtimeFolder(), `engine-${process.pid}`)}.log`;
    this.#engine = launchEngine({ ...options, command, args, logPath, log, stopGraceMs });
    this.#write(undefined);
    return this.#engine;
  }

  remember(engines: RememberedEngines): void {
    this.#isReady = true;
    this.#write(engines);
  }

  async discard(): Promise<void> {
    const running = this.#found?.process;
    await this.#engine?.stop();
    if (running !== undefined) await endGroup(running.identity);
    this.#engine = undefined;
    this.#found = undefined;
    this.#forget();
  }

  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    await this.#launchedOtherwise?.stop();
    const isOurs = this.#options.source.t === "managed";
    // One that was never ready cannot be taken over.
    if (this.#options.keepEngine === true && this.#isReady) {
      this.#engine?.release();
    } else if (isOurs) {
      await this.#engine?.stop();
      this.#forget();
    }
    this.#file?.lock.release();
  }

  /** ZeroMQ leaves the files of its sockets behind. */
  #forget(): void {
    if (this.#file === undefined) return;
    removeStateFile(this.#file.path);
    const { input, output } = this.addresses ?? {};
    for (const address of [input, output])
      if (address !== undefined) rmSync(address.slice("ipc://".length), { force: true });
  }

  #write(engines: RememberedEngines | undefined): void {
    if (this.#file === undefined) return;
    const engine = this.#engine;
    const running = engine === undefined ? undefined : { identity: engine.identity, logPath: engine.logPath };
    writeStateFile(this.#file.path, { version: 1, request: this.#request, process: running, engines });
  }
}

function requestOf({ source, modelPath, dataParallelSize }: EngineTenureOptions): EngineRequest {
  const command = source.t === "managed" ? [source.command, ...source.args] : undefined;
  return { modelPath: realPath(modelPath), dataParallelSize, command };
}

/** One engine for each thing that can be asked for; a second beside it needs a state file of its own. */
function defaultStatePath(request: EngineRequest): string | undefined {
  if (request.command === undefined) return undefined;
  return join(runtimeFolder(), `engine-${shortHash(JSON.stringify(request))}.json`);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function shortHash(text: string): string {
  return createHash("sha256").update(resolve(text)).digest("hex").slice(0, 16);
}
