import { computeProcesses } from "./compute-processes.ts";
import { LogTail } from "./log-tail.ts";
import { isReplaced, isRunning, type ProcessIdentity } from "./process-identity.ts";

export interface EngineProcessOptions {
  /** The leader of a process group of its own. */
  readonly identity: ProcessIdentity;
  /** Where the group writes standard output and error; undefined when nobody knows. */
  readonly logPath: string | undefined;
  /** True for a process that was started earlier by another front end. */
  readonly isAdopted: boolean;
  onLine(line: string): void;
  /** Once, unless {@link EngineProcess.stop} was called before. */
  onExit(reason: string, lastLines: readonly string[]): void;
  /** From SIGTERM to SIGKILL. Default 5 s. */
  readonly stopGraceMs?: number | undefined;
}

const pollMs = 50;
const defaultStopGraceMs = 5_000;
/** How long a killed group may take to be gone; memory of a large model takes a moment to unmap. */
const killedGraceMs = 10_000;
/** Looking through `/proc` costs about a millisecond, and health asks often. */
const processIdsAgeMs = 1_000;

/**
 * A running `vllm serve --headless` with everything below it, started by us or taken over. Its end is found by looking
 * at the process: one that was taken over is nobody's child here.
 */
export class EngineProcess {
  readonly identity: ProcessIdentity;
  readonly logPath: string | undefined;
  readonly isAdopted: boolean;
  readonly #options: EngineProcessOptions;
  readonly #tail: LogTail | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #gone = Promise.withResolvers<void>();
  #exitWord: string | undefined;
  #stopping: Promise<void> | undefined;
  #processIds: { readonly ids: readonly number[]; readonly atMs: number } | undefined;

  constructor(options: EngineProcessOptions) {
    this.#options = options;
    this.identity = options.identity;
    this.logPath = options.logPath;
    this.isAdopted = options.isAdopted;
    this.#tail = openTail(options);
    this.#timer = setInterval(() => this.look(), pollMs);
    this.#timer.unref();
  }

  /** The processes that compute: engine cores and workers. Looked up at most once a second. */
  get processIds(): readonly number[] {
    const now = performance.now();
    if (this.#processIds === undefined || now - this.#processIds.atMs > processIdsAgeMs) {
      this.#processIds = { ids: computeProcesses(this.identity.pid), atMs: now };
    }
    return this.#processIds.ids;
  }

  /** Looks whether the process still runs, for who has a reason to think that it does not. */
  look(): void {
    // The end of a child is told, and how it ended with it: looking would often be earlier and know less.
    if (!this.isAdopted || isRunning(this.identity)) return;
    this.#end();
  }

  /** For the parent, who is told how its child ended: "exit code 1", "signal SIGKILL". */
  exited(how: string): void {
    this.#exitWord = how;
    this.#end();
  }

  /** Lets go without ending the process; nothing is reported any more. */
  release(): void {
    this.#stopping ??= Promise.resolve();
    clearInterval(this.#timer);
    this.#tail?.close();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    if (isRunning(this.identity)) {
      signal(this.identity.pid, "SIGTERM");
      await this.#within(this.#options.stopGraceMs ?? defaultStopGraceMs);
    }
    // What the leader has left behind, or everything when it did not listen.
    await endGroup(this.identity);
    clearInterval(this.#timer);
    this.#tail?.close();
  }

  async #within(limitMs: number): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, limitMs);
    this.look();
    await Promise.race([this.#gone.promise, limit.promise]);
    clearTimeout(timer);
  }

  #end(): void {
    clearInterval(this.#timer);
    this.#gone.resolve();
    this.#tail?.read();
    if (this.#stopping !== undefined) return;
    const lastLines = this.#tail?.lastLines ?? [];
    this.#tail?.close();
    // The leader's end is the engine's end: what is left of the group serves nobody.
    this.#stopping = endGroup(this.identity);
    const how = this.#exitWord === undefined ? "" : `: ${this.#exitWord}`;
    this.#options.onExit(`vLLM's process ${this.identity.pid} has ended${how}`, lastLines);
  }
}

/** Kills what is left of a group and waits until it is gone. A later group with the same number is left alone. */
export async function endGroup(leader: ProcessIdentity): Promise<void> {
  const startedAtMs = performance.now();
  // The system gives no new process a number that a group still has, so a replaced leader means: no group.
  while (!isReplaced(leader) && signal(-leader.pid, "SIGKILL")) {
    if (performance.now() - startedAtMs > killedGraceMs) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** False when nobody is there to hear it. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

function openTail({ logPath, isAdopted, onLine }: EngineProcessOptions): LogTail | undefined {
  if (logPath === undefined) return undefined;
  try {
    return new LogTail({ path: logPath, fromEnd: isAdopted, onLine });
  } catch {
    // Somebody has removed the log; the engine can be served without it.
    return undefined;
  }
}
