import { Worker } from "node:worker_threads";
import type { StatusTable } from "@tokenwire/health";
import type { Log, LogLevel } from "../../operations/log.ts";
import type { ListenAddress } from "../../rpc/server.ts";
import { ListenError } from "../../transport/tokenwire-grpc/listen-error.ts";
import { BoardMemory } from "./board-memory.ts";
import type { Annotation } from "./board-state.ts";
import type { HealthClass } from "./mirrored-health.ts";
import { RestartPause } from "./restart-pause.ts";
import { StatusBoard } from "./status-board.ts";
import type { FromWorker, ToWorker, WorkerOptions } from "./worker-messages.ts";

export interface HealthThreadOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The truth that is mirrored. */
  readonly table: StatusTable;
  /** Names by what they answer for; at most 32. A name that is not here is "readiness". */
  readonly classes: ReadonlyMap<string, HealthClass>;
  /** As in `createHealthService`. */
  readonly annotate?: ((service: string) => Annotation | undefined) | undefined;
  /** Silence of the main loop that is a stall. Default 1000, or half of a shorter hang timeout; at least 20. */
  readonly mainStallMs?: number;
  /** Time between two beats of the main loop, and between two looks at them. Default 100, at most a quarter of `mainStallMs`. */
  readonly beatMs?: number;
  /** Silence of the main loop that is a hang; above `mainStallMs`. Default 120,000. */
  readonly hangTimeoutMs?: number;
  readonly log: Log;
  /** Of the lines that the worker writes itself, to standard error. */
  readonly logLevel: LogLevel;
}

/** A running health port. */
export interface HealthThread {
  /** Where it listens; stays the same over restarts of the worker. */
  readonly address: ListenAddress;
  /** Sends the last statuses, ends all calls UNAVAILABLE with the reason and closes the port. Never rejects. Idempotent. */
  close(reason: string): Promise<void>;
}

const capacityBytes = 256 * 1024;
const maxClasses = 32;
const maxTimerMs = 2 ** 31 - 1;
const defaultBeatMs = 100;
/** Above what the worker takes to end its calls; a worker that takes longer is ended. */
const closeTimeoutMs = 5_000;
/** A flood of watchers ends the worker, and not the server. */
const workerHeapMegabytes = 256;

/**
 * Opens a second, plaintext gRPC port that serves `grpc.health.v1.Health` and nothing else, from a thread with its own
 * event loop, and answers when it is open.
 *
 * The thread mirrors the table through shared memory, so it answers while this thread is busy. It watches this thread's
 * heartbeat: after `mainStallMs` of silence names of class "readiness" are NOT_SERVING, after `hangTimeoutMs` all are. A
 * worker that dies is logged and started again, on the same port.
 *
 * Rejects with a {@link ListenError} that names `--health-host` and `--health-port`, and throws a RangeError for a time or
 * a number of classes out of its range.
 */
export async function startHealthThread(options: HealthThreadOptions): Promise<HealthThread> {
  const { hangTimeoutMs = 120_000 } = options;
  const { mainStallMs = Math.min(1000, hangTimeoutMs / 2) } = options;
  const { beatMs = Math.min(defaultBeatMs, mainStallMs / 4) } = options;
  assertInRange("mainStallMs", mainStallMs, 20, maxTimerMs);
  assertInRange("beatMs", beatMs, 1, mainStallMs / 4);
  assertInRange("hangTimeoutMs", hangTimeoutMs, mainStallMs + 1, maxTimerMs);
  assertInRange("classes", options.classes.size, 0, maxClasses);
  const thread = new RunningHealthThread(options, { stallMs: mainStallMs, hangTimeoutMs, tickMs: beatMs });
  await thread.open();
  return thread;
}

class RunningHealthThread implements HealthThread {
  readonly #log: Log;
  readonly #workerOptions: WorkerOptions;
  readonly #board: StatusBoard;
  readonly #pause = new RestartPause();
  readonly #beating: NodeJS.Timeout;
  #address: ListenAddress;
  #worker: Worker | undefined;
  #restarting: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;
  #lastFailure = "";

  constructor(options: HealthThreadOptions, times: Pick<WorkerOptions, "stallMs" | "hangTimeoutMs" | "tickMs">) {
    const { table, annotate, classes, log, logLevel } = options;
    this.#log = log;
    this.#address = { host: options.host, port: options.port };
    const memory = BoardMemory.allocate(capacityBytes);
    this.#board = new StatusBoard({
      table,
      memory,
      annotate,
      essential: ["", ...classes.keys()],
      onOverflow: (namesLeftOut) =>
        log.error({ reason: "health-board-full", namesLeftOut }, "not every health name is on the health port"),
    });
    this.#workerOptions = {
      memory: memory.buffer,
      address: this.#address,
      classes: new Map(classes),
      logLevel,
      ...times,
    };
    memory.beat(Date.now());
    this.#beating = setInterval(() => {
      memory.beat(Date.now());
      this.#publish();
    }, times.tickMs).unref();
  }

  get address(): ListenAddress {
    return this.#address;
  }

  async open(): Promise<void> {
    try {
      this.#address = await this.#start();
    } catch (thrown) {
      await this.close("the health port could not be opened");
      throw thrown;
    }
  }

  close(reason: string): Promise<void> {
    this.#closed ??= this.#close(reason);
    return this.#closed;
  }

  async #close(reason: string): Promise<void> {
    clearTimeout(this.#restarting);
    this.#publish();
    const worker = this.#worker;
    if (worker !== undefined) {
      const gone = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
      const tooLate = setTimeout(() => void worker.terminate(), closeTimeoutMs);
      worker.postMessage({ t: "close", reason } satisfies ToWorker);
      await gone;
      clearTimeout(tooLate);
    }
    clearInterval(this.#beating);
    this.#board.stop();
  }

  /** Starts a worker and answers where it listens. Rejects when it does not; it is gone then. */
  #start(): Promise<ListenAddress> {
    const opened = Promise.withResolvers<ListenAddress>();
    const worker = startWorker({ ...this.#workerOptions, address: this.#address });
    this.#worker = worker;
    let listening = false;
    let why: unknown;
    worker.on("message", (message: FromWorker) => {
      switch (message.t) {
        case "listening":
          listening = true;
          opened.resolve(message.address);
          return;
        case "listen-failed": {
          const cause = Object.assign(new Error(message.message), { code: message.code });
          why = ListenError.from(this.#address, cause, { host: "--health-host", port: "--health-port" });
          return;
        }
      }
    });
    worker.on("error", (thrown) => {
      why = thrown;
    });
    worker.once("exit", (exitCode) => {
      this.#worker = undefined;
      why ??= new Error(`the health thread ended with exit code ${exitCode}`);
      if (listening) this.#died(why);
      else opened.reject(why);
    });
    return opened.promise;
  }

  #died(why: unknown): void {
    if (this.#closed !== undefined) return;
    const restartInMs = this.#pause.next(performance.now());
    this.#log.error({ reason: "health-thread-died", restartInMs, err: why }, "the health thread died");
    this.#restarting = setTimeout(async () => {
      try {
        await this.#start();
        this.#log.info({ reason: "health-thread-restarted" }, "the health port answers again");
      } catch (thrown) {
        this.#died(thrown);
      }
    }, restartInMs).unref();
  }

  /** The timer's turn: what an annotation throws must not end the server, nor fill the log. */
  #publish(): void {
    try {
      this.#board.publish();
    } catch (thrown) {
      const failure = String(thrown);
      if (failure === this.#lastFailure) return;
      this.#lastFailure = failure;
      this.#log.error({ reason: "health-board-failed", err: thrown }, "the health port is not told of a change");
    }
  }
}

function startWorker(options: WorkerOptions): Worker {
  // In a clone the sources run, in the published package the emitted files: the worker has its starter's form.
  const fromSource = import.meta.filename.endsWith(".ts");
  const file = new URL(`./health-worker.${fromSource ? "ts" : "js"}`, import.meta.url);
  return new Worker(file, {
    name: "health",
    workerData: options,
    // Hooks of this thread do not reach into the worker; the condition does.
    execArgv: fromSource ? ["--conditions=tokenwire-source"] : [],
    resourceLimits: { maxOldGenerationSizeMb: workerHeapMegabytes },
  });
}

function assertInRange(name: string, value: number, from: number, to: number): void {
  if (!(value >= from && value <= to)) throw new RangeError(`${name}: ${value}, expected ${from} to ${to}`);
}
