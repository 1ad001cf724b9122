import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../conformance/harness/free-port.ts";
import { endGroup, startGroup } from "../../conformance/harness/processes.ts";
import { program } from "../../conformance/harness/tools.ts";
import { python } from "./tools.ts";

const here = import.meta.dirname;
const root = join(here, "..", "..");
const startLimitMs = 300_000;

/** A front end to measure: how it is started on a port, waiting for an engine at a handshake port. */
export interface Candidate {
  readonly name: string;
  command(port: number, handshakePort: number, folder: string): readonly string[];
}

/** tokenwire with an attached engine, as `npx tokenwire` runs it. */
export function tokenwire(name: string, model: string): Candidate {
  return {
    name,
    command: (port, handshakePort) => [
      ...[process.execPath, join(root, "packages", "server", "bin", "tokenwire.mjs"), "serve", model],
      ...["--engine", "vllm", "--engine-core-address", `tcp://127.0.0.1:${handshakePort}`],
      ...["--host", "127.0.0.1", "--port", String(port), "--log-level", "warn"],
    ],
  };
}

/** The Rust servicer inside the wheel `smg`. */
export const rustServicer: Candidate = {
  name: "smg 1.13.0, Rust servicer",
  command: (port, handshakePort, folder) => [
    ...[program(python, "python"), join(here, "rust_servicer.py"), String(port), String(handshakePort)],
    `ipc://${folder}/engine`,
  ],
};

/** vLLM's own Python front end, from the environment where vLLM is installed. */
export function vllmPython(environment: string, model: string): Candidate {
  return {
    name: "vLLM, Python front end",
    command: (port, handshakePort) => [
      ...[join(environment, "bin", "vllm"), "serve", model, "--grpc", "--host", "127.0.0.1", "--port", String(port)],
      ...["--data-parallel-size-local", "0", "--data-parallel-address", "127.0.0.1"],
      ...["--data-parallel-rpc-port", String(handshakePort), "--dtype", "float32", "--max-model-len", "2048"],
    ],
  };
}

export type Pace = "paced" | "flood";

/** A front end that runs, with a mock engine of its own behind it. */
export class RunningFrontEnd {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly #engine: ChildProcess;
  readonly #folder: string;
  #pace: Pace = "paced";

  private constructor(name: string, port: number, pid: number, engine: ChildProcess, folder: string) {
    this.name = name;
    this.port = port;
    this.pid = pid;
    this.#engine = engine;
    this.#folder = folder;
  }

  /** Starts both, the front end on core 0 and its engine on core 1 when `pinned`, and waits until a stream is served. */
  static async start(
    candidate: Candidate,
    pinned: boolean,
    serves: (port: number) => Promise<boolean>,
  ): Promise<RunningFrontEnd> {
    const [port, handshakePort] = [await freePort(), await freePort()];
    const folder = mkdtempSync(join(tmpdir(), "front-end-"));
    const environment = { ...process.env, HF_HUB_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1", DO_NOT_TRACK: "1" };
    const frontEnd = begin(candidate.command(port, handshakePort, folder), pinned ? 0 : undefined, environment);
    const address = ["--handshake", `tcp://127.0.0.1:${handshakePort}`];
    const engine = begin(
      [program(python, "python"), join(here, "mock_engine.py"), ...address],
      pinned ? 1 : undefined,
      environment,
    );
    const running = new RunningFrontEnd(candidate.name, port, frontEnd.process.pid ?? 0, engine.process, folder);
    const giveUpAtMs = performance.now() + startLimitMs;
    while (performance.now() < giveUpAtMs && frontEnd.process.exitCode === null) {
      if (await serves(port)) return running;
      await sleep(250);
    }
    running.stop();
    throw new Error(`${candidate.name} does not serve\n${frontEnd.log()}\n${engine.log()}`);
  }

  /** Resolves when the engine has said that it changed. */
  async setPace(pace: Pace): Promise<void> {
    if (pace === this.#pace) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const listen = (text: string): void => {
      if (text.includes(pace)) resolve();
    };
    this.#engine.stdout?.on("data", listen);
    this.#engine.kill("SIGUSR2");
    await promise;
    this.#engine.stdout?.off("data", listen);
    this.#pace = pace;
  }

  stop(): void {
    endGroup(this.pid);
    endGroup(this.#engine.pid ?? 0);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function begin(
  words: readonly string[],
  core: number | undefined,
  environment: NodeJS.ProcessEnv,
): { readonly process: ChildProcess; log(): string } {
  const pinned = core === undefined ? words : ["taskset", "-c", String(core), ...words];
  const [command = "", ...args] = pinned;
  const child = startGroup(command, args, environment);
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-4096);
    });
  }
  return { process: child, log: () => log };
}
