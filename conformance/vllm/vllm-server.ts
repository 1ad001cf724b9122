import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ended, endGroup, startGroup } from "../harness/processes.ts";
import { engineService, root } from "../harness/server.ts";
import { HealthWatch } from "./health-watch.ts";
import { vllmProgram } from "./install.ts";

/** The demonstration model in Hugging Face's form. */
export const demoFolder: string = join(root, "models", "demo", "hf");

const startLimitMs = 300_000;
/** vLLM as it runs on the developer's processor, in the arithmetic of the reference. */
const engineFlags = ["--dtype", "float32", "--max-model-len", "2048", "--enforce-eager"];
const environment = {
  HF_HUB_OFFLINE: "1",
  TRANSFORMERS_OFFLINE: "1",
  VLLM_CPU_KVCACHE_SPACE: "1",
  VLLM_NO_USAGE_STATS: "1",
  DO_NOT_TRACK: "1",
};

/** A folder for the state of one engine, which several starts of tokenwire may share. */
export interface EngineHome {
  readonly statePath: string;
  /** The engine's process: `vllm serve`, its engine core, its worker. Undefined while there is none. */
  processes(): EngineProcesses | undefined;
  /** Ends whatever is left of the engine, and removes the folder. */
  remove(): void;
}

export interface EngineProcesses {
  readonly launcher: number;
  readonly engineCore: number;
  readonly worker: number;
}

export function makeEngineHome(): EngineHome {
  const folder = mkdtempSync(join(tmpdir(), "tokenwire-conformance-vllm-"));
  const statePath = join(folder, "engine.json");
  const seen = new Set<number>();
  const processes = (): EngineProcesses | undefined => {
    const launcher = launcherIn(statePath);
    if (launcher === undefined) return undefined;
    seen.add(launcher);
    const found = descendantsOf(launcher);
    const named = (name: string): number => found.find((pid) => nameOf(pid).includes(name)) ?? 0;
    return { launcher, engineCore: named("EngineCore"), worker: named("Worker") };
  };
  return {
    statePath,
    processes,
    remove: () => {
      processes();
      for (const pid of seen) endGroup(pid);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A running `tokenwire serve --engine vllm`. */
export interface VllmServer {
  readonly pid: number;
  readonly target: string;
  /** From the start of the process to SERVING under the engine's health name. */
  readonly servingAfterMs: number;
  log(): string;
  signal(signal: NodeJS.Signals): void;
  exited(limitMs?: number): Promise<number | null>;
  /** SIGTERM, and asserts that it exits 0. */
  stop(): Promise<void>;
  /** Ends what is left, without the engine. */
  kill(): void;
}

/** Serves the demonstration model, from its own folder or one like it, with a real vLLM; resolves when the engine's health name says SERVING. */
export async function startVllmServer(
  home: EngineHome,
  flags: readonly string[] = [],
  moreEngineFlags: readonly string[] = [],
  folder: string = demoFolder,
): Promise<VllmServer> {
  const bin = join(root, "packages", "server", "bin", "tokenwire.mjs");
  const words = [bin, "serve", folder, "--engine", "vllm", "--vllm-command", vllmProgram("vllm")];
  const addresses = ["--host", "127.0.0.1", "--port", "0", "--engine-core-state", home.statePath];
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("TOKENWIRE_"));
  const startedAtMs = performance.now();
  const child = startGroup(
    process.execPath,
    [...words, ...addresses, ...flags, "--", ...engineFlags, ...moreEngineFlags],
    {
      ...Object.fromEntries(own),
      ...environment,
    },
  );
  const { pid } = child;
  assert.ok(pid !== undefined);
  let log = "";
  let output = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-256 * 1024);
  });
  const target = await new Promise<string>((resolve, reject) => {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const found = /listening on (\S+:\d+)/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.on("close", (code) => reject(new Error(`the server ended with code ${code}\n${output}${log}`)));
  });
  const watch = new HealthWatch(target, engineService);
  try {
    await watch.until("SERVING", startLimitMs);
  } catch (thrown) {
    endGroup(pid);
    throw new Error(`the engine did not become ready\n${log}`, { cause: thrown });
  } finally {
    watch.close();
  }
  const servingAfterMs = performance.now() - startedAtMs;
  const exited = async (limitMs = 60_000): Promise<number | null> => {
    assert.ok(await ended(child, limitMs), `the server still runs\n${log}`);
    return child.exitCode;
  };
  return {
    pid,
    target,
    servingAfterMs,
    log: () => log,
    signal: (signal) => {
      child.kill(signal);
    },
    exited,
    async stop() {
      child.kill("SIGTERM");
      assert.equal(await exited(), 0, log);
    },
    kill: () => endGroup(pid),
  };
}

/** Resolves when the process is gone. */
export async function gone(pid: number): Promise<void> {
  while (stateOf(pid) !== undefined && stateOf(pid) !== "Z") await sleep(20);
}

/** One letter of proc(5); undefined when there is no such process. */
export function stateOf(pid: number): string | undefined {
  return statOf(pid)?.[0];
}

function launcherIn(statePath: string): number | undefined {
  try {
    return JSON.parse(readFileSync(statePath, "utf8")).process?.identity.pid;
  } catch {
    return undefined;
  }
}

function descendantsOf(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const parent = /^\d+$/.test(name) ? statOf(Number(name))?.[1] : undefined;
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const found = [pid];
  for (const each of found) for (const [child, parent] of parents) if (parent === each) found.push(child);
  return found.slice(1);
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}

function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
