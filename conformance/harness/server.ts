import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ended, endGroup, groupLives, startGroup } from "./processes.ts";
import { checkHealth } from "./raw-call.ts";

export const root: string = dirname(dirname(import.meta.dirname));
export const demoModel: string = join(root, "models", "demo", "tiny-f16.gguf");
export const engineService = "vllm.grpc.engine.VllmEngine";

const startLimitMs = 60_000;

/** A running `tokenwire serve`, in its own process group. */
export interface Server {
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  /** `host:port`. */
  readonly target: string;
  /** What the server wrote on standard error so far. */
  log(): string;
  /** Resolves when a health name answers this status (1 SERVING, 2 NOT_SERVING). */
  until(service: string, status: number): Promise<void>;
  /** Process ids of the server's child processes: the engine. */
  children(): number[];
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code; rejects after the limit. */
  exited(limitMs?: number): Promise<number | null>;
  /** Ends the server as an operator does, with SIGTERM, and asserts that it exits 0 and leaves no process behind. */
  stop(): Promise<void>;
  /** Ends whatever is left, without questions. For the `after` of a suite; safe after {@link stop}. */
  kill(): void;
}

/**
 * Serves a model, else the demonstration model, as "tokenwire-demo" on a free port of the loopback and resolves when the engine's health name answers
 * SERVING. Later flags win over the defaults, which keep a shutdown short. `variables` are added to the environment.
 */
export async function startServer(
  flags: readonly string[] = [],
  modelPath = demoModel,
  variables: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const bin = join(root, "packages", "server", "bin", "tokenwire.mjs");
  const defaults = ["--host", "127.0.0.1", "--port", "0", "--withdrawal-grace", "0", "--drain-timeout", "5"];
  const model = [modelPath, "--served-model-name", "tokenwire-demo"];
  // A variable of the developer's shell must not decide how the tested server runs.
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("TOKENWIRE_")),
  );
  const child = startGroup(process.execPath, [bin, "serve", ...model, ...defaults, ...flags], {
    ...environment,
    ...variables,
  });
  const pid = child.pid;
  assert.ok(pid !== undefined, "the server did not start");
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-256 * 1024);
  });

  const address = await new Promise<{ host: string; port: number }>((resolve, reject) => {
    let output = "";
    const giveUp = (why: string) => {
      endGroup(pid);
      reject(new Error(`${why}\n${output}${log}`));
    };
    const limit = setTimeout(() => giveUp("the server did not say where it listens"), startLimitMs);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const found = /listening on (\S+):(\d+)/.exec(output);
      if (found === null) return;
      clearTimeout(limit);
      resolve({ host: found[1] ?? "", port: Number(found[2]) });
    });
    child.on("error", (thrown) => giveUp(thrown.message));
    child.on("close", (code) => {
      clearTimeout(limit);
      giveUp(`the server ended with code ${code} before it listened`);
    });
  });
  const target = `${address.host}:${address.port}`;

  const server: Server = {
    ...address,
    pid,
    target,
    log: () => log,
    async until(service, status) {
      const giveUpAtMs = performance.now() + startLimitMs;
      let last: number | undefined;
      while (performance.now() < giveUpAtMs) {
        last = await checkHealth(target, service);
        if (last === status) return;
        if (child.exitCode !== null) break;
        await sleep(50);
      }
      throw new Error(`health of "${service}" is ${last ?? "no answer"} and not ${status}\n${log}`);
    },
    children: () => childrenOf(pid),
    signal: (signal) => {
      child.kill(signal);
    },
    async exited(limitMs = 20_000) {
      assert.ok(await ended(child, limitMs), `the server still runs after ${limitMs} ms\n${log}`);
      return child.exitCode;
    },
    async stop() {
      child.kill("SIGTERM");
      const code = await server.exited();
      // The engine's process may need a moment to be reaped after its parent.
      for (let tries = 0; groupLives(pid) && tries < 40; tries += 1) await sleep(50);
      const left = groupLives(pid);
      endGroup(pid);
      assert.equal(code, 0, `exit code of the server\n${log}`);
      assert.equal(left, false, "the server left a process behind");
    },
    kill: () => endGroup(pid),
  };
  try {
    await server.until(engineService, 1);
  } catch (thrown) {
    endGroup(pid);
    throw thrown;
  }
  return server;
}

/** Process ids of direct children. Linux only. */
export function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const afterName = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1) ?? "";
        return Number(afterName.split(" ")[1]) === pid;
      } catch {
        return false;
      }
    })
    .map(Number);
}
