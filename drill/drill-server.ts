import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { ended, endGroup, startGroup } from "../conformance/harness/processes.ts";
import { childrenOf, demoModel, root } from "../conformance/harness/server.ts";

export interface DrillServerOptions {
  readonly flags: readonly string[];
  /** Default: the demonstration model. */
  readonly model?: string | undefined;
  readonly loadDelayMs?: number;
}

/** A server under the drill's hand: real processes, and orders for the faults that no signal gives. */
export class DrillServer {
  readonly target: string;
  /** Of the health port. */
  readonly healthTarget: string;
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #log: () => string;

  private constructor(process: ChildProcess, folder: string, targets: readonly [string, string], log: () => string) {
    this.#process = process;
    this.#folder = folder;
    this.#log = log;
    [this.target, this.healthTarget] = targets;
  }

  /** Resolves when both ports are open; the engine may still be loading. */
  static async start({ flags, model = demoModel, loadDelayMs = 0 }: DrillServerOptions): Promise<DrillServer> {
    const folder = mkdtempSync(join(tmpdir(), "tokenwire-drill-"));
    const hooks = pathToFileURL(join(import.meta.dirname, "fault-hooks.mjs")).href;
    const child = startGroup(
      process.execPath,
      [
        join(root, "packages", "server", "bin", "tokenwire.mjs"),
        ...["serve", model, "--host", "127.0.0.1", "--port", "0", "--health-port", "0", "--disable-log-stats"],
        ...flags,
      ],
      {
        ...process.env,
        NODE_OPTIONS: `--import=${hooks}`,
        DRILL_FOLDER: folder,
        DRILL_LOAD_DELAY_MS: String(loadDelayMs),
      },
    );
    let log = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-1_000_000);
    });
    const targets = await new Promise<readonly [string, string]>((resolve, reject) => {
      let output = "";
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        const main = /listening on (\S+:\d+)/.exec(output)?.[1];
        const health = /health on (\S+:\d+)/.exec(output)?.[1];
        if (main !== undefined && health !== undefined) resolve([main, health]);
      });
      child.on("close", (code) => reject(new Error(`the server ended with code ${code} before it listened\n${log}`)));
    });
    return new DrillServer(child, folder, targets, () => log);
  }

  get log(): string {
    return this.#log();
  }

  /** The process of the engine; throws while there is none. */
  get enginePid(): number {
    const [pid] = childrenOf(this.#process.pid ?? 0);
    if (pid === undefined) throw new Error("the server has no engine process");
    return pid;
  }

  signalEngine(signal: NodeJS.Signals): void {
    process.kill(this.enginePid, signal);
  }

  /** The engine's child is busy in one step for so long: it burns CPU and answers nobody. */
  burnEngine(ms: number): void {
    writeFileSync(join(this.#folder, "engine.order"), `burn ${ms}`);
    this.signalEngine("SIGUSR2");
  }

  abortEngine(): void {
    writeFileSync(join(this.#folder, "engine.order"), "abort");
    this.signalEngine("SIGUSR2");
  }

  /** The server's own main thread stands still for so long. */
  blockMainThread(ms: number): void {
    writeFileSync(join(this.#folder, "server.order"), `burn ${ms}`);
    this.#process.kill("SIGUSR2");
  }

  /** SIGTERM, as Kubernetes sends it. */
  terminate(): void {
    this.#process.kill("SIGTERM");
  }

  /** Resolves with the exit code, or undefined when the server still runs after the limit. */
  async exited(limitMs: number): Promise<number | null | undefined> {
    return (await ended(this.#process, limitMs)) ? this.#process.exitCode : undefined;
  }

  /** Ends whatever is left. Safe to call twice. */
  async end(): Promise<void> {
    if (this.#process.pid !== undefined) endGroup(this.#process.pid);
    await this.exited(5_000);
    await sleep(0);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
