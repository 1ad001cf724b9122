import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "../gateway/worker-kind.ts";
import { EngineClient } from "./engine-client.ts";
import { HealthWatch } from "./health-watch.ts";
import { demoFolder, type EngineHome, makeEngineHome, startVllmServer } from "./vllm-server.ts";

export interface VllmWorkerOptions {
  /** Of `tokenwire serve`. */
  readonly flags?: readonly string[];
  /** Of `vllm serve`. */
  readonly engineFlags?: readonly string[];
  /** What it computes once before anybody else asks. Default: what compiles for seconds at its first time. */
  readonly warm?: (client: EngineClient) => Promise<void>;
}

const named = ["--served-model-name", "tokenwire-demo", "--withdrawal-grace", "0", "--drain-timeout", "5"];
/** What is left to end and to remove after the tests of this process. */
const left = new Set<() => void>();

/** A server with a vLLM of its own, started from a folder of its own. {@link endWorkers} ends what a test has left. */
export async function startVllmWorker(options: VllmWorkerOptions = {}): Promise<Worker> {
  const home = makeEngineHome();
  const folder = mkdtempSync(join(tmpdir(), "tokenwire-conformance-model-"));
  for (const name of readdirSync(demoFolder)) symlinkSync(join(demoFolder, name), join(folder, name));
  const remove = (): void => {
    home.remove();
    rmSync(folder, { recursive: true, force: true });
    left.delete(remove);
  };
  left.add(remove);
  return await serve(home, folder, options, remove);
}

export function endWorkers(): void {
  for (const remove of left) remove();
}

async function serve(
  home: EngineHome,
  folder: string,
  options: VllmWorkerOptions,
  remove: () => void,
): Promise<Worker> {
  const { flags = [], engineFlags = [], warm = warmUp } = options;
  const server = await startVllmServer(home, [...named, ...flags], engineFlags, folder);
  const client = new EngineClient(server.target);
  await warm(client).finally(() => client.close());
  const [host = "", port = ""] = server.target.split(":");
  return {
    ...server,
    host,
    port: Number(port),
    async until(service, status) {
      const watch = new HealthWatch(server.target, service);
      await watch.until(status === 1 ? "SERVING" : "NOT_SERVING", 60_000).finally(() => watch.close());
    },
    children() {
      const { engineCore = 0, worker = 0 } = home.processes() ?? {};
      return [engineCore, worker].filter((pid) => pid > 0);
    },
    hideTokenizer() {
      rmSync(folder, { recursive: true, force: true });
      return folder;
    },
    async replaced() {
      server.kill();
      await server.exited();
      return await serve(home, folder, { ...options, flags: [...flags, "--port", port], warm: async () => {} }, remove);
    },
    kill() {
      server.kill();
      remove();
    },
  };
}

/**
 * What vLLM compiles for its first logprobs and its first grammar holds its first request for seconds. The gateway takes a
 * worker that says nothing for 3 s for wedged, and without requests it hears nothing that would tell it otherwise.
 */
async function warmUp(client: EngineClient): Promise<void> {
  for (const sampling of [{ logprobs: 2 }, { constraint: { $case: "regex", value: "a+" } as const }]) {
    const { status, details } = await client.generate({
      promptIds: [5, 6, 7],
      sampling: { maxTokens: 4, ...sampling },
    });
    assert.equal(status, "OK", details);
  }
}
