import type { Engine } from "../engine/engine.ts";
import type { EngineState } from "../engine/state.ts";
import { type Clock, systemClock } from "../operations/clock.ts";
import type { Log } from "../operations/log.ts";
import type { ListenAddress, RpcServer } from "../rpc/server.ts";
import type { Service } from "../rpc/service.ts";
import { exitCode } from "./exit-code.ts";

/** What the lifecycle needs of health: no more than when to begin, when to withdraw and when to end. */
export interface HealthLifecycle {
  /** Begins to gather evidence. Called after the port is open and before the engine starts. */
  start(): void;
  /** Latches NOT_SERVING and tells it to all watchers. A throw is logged and stops nothing. */
  withdraw(reason: string): void;
  /** Gathers no more evidence; nobody can ask any longer. */
  stop(): void;
}

export interface RunServerOptions {
  /** Not listening yet. Closed by the lifecycle. */
  readonly rpc: RpcServer;
  /** Not started yet. Closed by the lifecycle. */
  readonly engine: Engine;
  readonly health: HealthLifecycle;
  readonly services: readonly Service[];
  readonly address: ListenAddress;
  readonly log: Log;
  /** How long new requests are still served after health has said NOT_SERVING. Default 5,000; 0 skips it. */
  readonly withdrawalGraceMs?: number;
  /** How long calls in flight may run on after new ones are refused. Default 30,000; 0 ends them at once. */
  readonly drainTimeoutMs?: number;
  /** How long a process whose engine died for good goes on saying so before it exits. Default 5,000. */
  readonly deadExitGraceMs?: number;
  /** An engine that takes longer to close is left to the end of the process. Default 10,000. */
  readonly engineCloseTimeoutMs?: number;
  readonly clock?: Clock;
}

export interface ServerEnd {
  /** One of `exitCode`. */
  readonly exitCode: number;
  /** A sentence on why it ended. */
  readonly reason: string;
}

/** A server whose port is open. Its engine may still be loading. */
export interface RunningServer {
  readonly address: ListenAddress;
  /** Resolves when the engine is ready for the first time; rejects when the server ends before. Needs no handler. */
  readonly ready: Promise<void>;
  /** Resolves when everything is closed; never rejects. */
  readonly done: Promise<ServerEnd>;
  /** Begins the shutdown, once; resolves when everything is closed. `reason` goes to clients, watchers and the log. */
  shutdown(reason: string): Promise<void>;
  /** Ends the calls in flight now; begins the shutdown when it has not begun. */
  hurry(): void;
}

/**
 * Opens the port, starts health, then the engine, and answers as soon as the port is open, so that a start-up can be
 * watched. Rejects only when the address cannot be bound (the transport's error) or health cannot start; nothing is
 * left open then.
 *
 * The shutdown, in order: 1. health is withdrawn; 2. new requests are served for the withdrawal grace, while balancers
 * take notice; 3. new calls are refused; 4. calls in flight run to their end within the drain timeout; 5. the rest
 * end UNAVAILABLE, their signals fire and services abort them in the engine; 6. the engine closes. Step 2 is left out
 * when the engine never was ready, since no balancer had sent anything. A failing step is logged and the next one is
 * taken.
 *
 * An engine that cannot start ends the server with `exitCode.startFailed`; one that dies for good, after the dead exit
 * grace, with `exitCode.engineDied`. Both go straight to step 5 after step 1.
 */
export async function runServer(options: RunServerOptions): Promise<RunningServer> {
  for (const service of options.services) options.rpc.register(service);
  const address = await options.rpc.listen(options.address);
  const run = new ServerRun(options, address);
  try {
    run.begin();
  } catch (thrown) {
    await options.rpc.close("the server could not start");
    throw thrown;
  }
  return run;
}

type Phase =
  | { readonly t: "starting" }
  | { readonly t: "serving" }
  | { readonly t: "ending"; readonly wasServing: boolean; readonly end: ServerEnd };

class ServerRun implements RunningServer {
  readonly address: ListenAddress;
  readonly ready: Promise<void>;
  readonly done: Promise<ServerEnd>;
  readonly #options: RunServerOptions;
  readonly #clock: Clock;
  readonly #readiness = Promise.withResolvers<void>();
  readonly #completion = Promise.withResolvers<ServerEnd>();
  readonly #hurried = Promise.withResolvers<void>();
  #phase: Phase = { t: "starting" };
  #hurry = false;
  #stopWatchingEngine: () => void = () => undefined;
  #takeBackExit: (() => void) | undefined;

  constructor(options: RunServerOptions, address: ListenAddress) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.address = address;
    this.ready = this.#readiness.promise;
    this.done = this.#completion.promise;
    // Whoever only waits for `done` must not get an unhandled rejection from here.
    this.ready.catch(() => undefined);
  }

  begin(): void {
    this.#options.health.start();
    this.#stopWatchingEngine = this.#options.engine.onState((state) => this.#engineChanged(state));
    void this.#startEngine();
  }

  async shutdown(reason: string): Promise<void> {
    this.#end({ exitCode: exitCode.ok, reason });
    await this.done;
  }

  hurry(): void {
    this.#hurry = true;
    this.#hurried.resolve();
    this.#end({ exitCode: exitCode.ok, reason: "asked to stop at once" });
  }

  async #startEngine(): Promise<void> {
    const { engine, log } = this.#options;
    try {
      await engine.start();
    } catch (thrown) {
      if (this.#phase.t === "ending") return;
      const reason = `the engine could not start: ${sentence(thrown)}`;
      log.error({ reason: "start-failed", engine: engine.name, err: thrown }, reason);
      this.#endAtOnce({ exitCode: exitCode.startFailed, reason });
      return;
    }
    if (this.#phase.t !== "starting") return;
    this.#phase = { t: "serving" };
    log.info({ engine: engine.name }, "the engine is ready");
    this.#readiness.resolve();
  }

  #engineChanged(state: EngineState): void {
    this.#takeBackExit?.();
    this.#takeBackExit = undefined;
    if (state.t !== "dead" || this.#phase.t === "ending") return;
    const { log, deadExitGraceMs = 5_000 } = this.#options;
    // Its supervisor has logged it, and health logs what becomes of the answers.
    if (state.restartInMs !== undefined) return;
    log.error({ reason: "engine-died", exitInMs: deadExitGraceMs }, `the engine died for good: ${state.reason}`);
    this.#takeBackExit = this.#clock.after(deadExitGraceMs, () =>
      this.#endAtOnce({ exitCode: exitCode.engineDied, reason: `the engine died: ${state.reason}` }),
    );
  }

  #endAtOnce(end: ServerEnd): void {
    this.#hurry = true;
    this.#hurried.resolve();
    this.#end(end);
  }

  #end(end: ServerEnd): void {
    if (this.#phase.t === "ending") return;
    this.#phase = { t: "ending", wasServing: this.#phase.t === "serving", end };
    this.#takeBackExit?.();
    this.#readiness.reject(new Error(`the server ended before it was ready: ${end.reason}`));
    this.#completion.resolve(this.#shutDown(end, this.#phase.wasServing));
  }

  async #shutDown(end: ServerEnd, wasServing: boolean): Promise<ServerEnd> {
    const { rpc, engine, health, log, withdrawalGraceMs = 5_000, drainTimeoutMs = 30_000 } = this.#options;
    const { reason } = end;
    log.info({ reason: "shutdown", activeCalls: rpc.activeCalls }, `shutting down: ${reason}`);
    await this.#step("withdraw", () => health.withdraw(reason));
    if (wasServing) await this.#unlessHurried(withdrawalGraceMs);
    await this.#step("refuse", () => rpc.refuseNewCalls(`the server is shutting down: ${reason}`));
    await this.#step("drain", () => this.#unlessHurried(drainTimeoutMs, rpc.idle()));
    if (rpc.activeCalls > 0) log.info({ activeCalls: rpc.activeCalls }, "ending the calls that are still in flight");
    await this.#step("close", () => rpc.close(`the server stopped before the call ended: ${reason}`));
    await this.#step("stop-health", () => health.stop());
    await this.#step("close-engine", () => this.#closeEngine(engine));
    this.#stopWatchingEngine();
    log.info({ exitCode: end.exitCode }, "stopped");
    return end;
  }

  /** Nothing that fails on the way may keep the process from ending. */
  async #step(name: string, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      this.#options.log.error({ reason: `${name}-failed`, err: thrown }, "a step of the shutdown failed");
    }
  }

  /** Waits `ms`, or until `enough`, or until somebody hurries. */
  async #unlessHurried(ms: number, enough?: Promise<void>): Promise<void> {
    if (ms <= 0 || this.#hurry) return;
    await this.#within(ms, [this.#hurried.promise, ...(enough === undefined ? [] : [enough])]);
  }

  async #closeEngine(engine: Engine): Promise<void> {
    const { log, engineCloseTimeoutMs = 10_000 } = this.#options;
    const inTime = await this.#within(engineCloseTimeoutMs, [engine.close(0)]);
    if (!inTime)
      log.error({ reason: "engine-close-timeout", engineCloseTimeoutMs }, "the engine did not close in time");
  }

  /** True when one of the promises resolved within `ms`. */
  async #within(ms: number, promises: readonly Promise<void>[]): Promise<boolean> {
    const timeout = Promise.withResolvers<boolean>();
    const takeBack = this.#clock.after(ms, () => timeout.resolve(false));
    try {
      return await Promise.race([timeout.promise, ...promises.map((promise) => promise.then(() => true))]);
    } finally {
      takeBack();
    }
  }
}

function sentence(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
