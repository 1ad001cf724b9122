import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { run } from "../harness/processes.ts";
import { root, type Server } from "../harness/server.ts";
import { until } from "./gateway-client.ts";
import { type RecordingProxy, startRecordingProxy } from "./recording-proxy.ts";
import { type Gateway, startGateway, workersOf } from "./smg.ts";
import type { Worker, WorkerKind } from "./worker-kind.ts";

/**
 * The gateway spreads the first requests to a worker that came up; here only the cache may decide. A step of the
 * demonstration model takes far less than a second, so that a second without one is a hang.
 */
export const steeringFlags: readonly string[] = [
  ...["--worker-warmup-secs", "0", "--worker-warmup-divert-every", "0"],
  ...["--worker-wedge-secs", "1", "--log-level", "info"],
];
/** Events go out with the step that made them; the gateway needs a moment to read them. */
const toldMs = 300;
const tokenwire = join(root, "packages", "server", "bin", "tokenwire.mjs");

interface Recorded<Kind extends Server> {
  readonly server: Kind;
  readonly proxy: RecordingProxy;
}

/** Two workers behind one gateway that routes by what they hold, each behind a proxy that knows what it was asked. */
export class Fleet {
  readonly first: Recorded<Worker>;
  readonly other: Recorded<Server>;
  #gateway: Gateway;

  private constructor(first: Recorded<Worker>, other: Recorded<Server>, gateway: Gateway) {
    this.first = first;
    this.other = other;
    this.#gateway = gateway;
  }

  static async start(kind: WorkerKind): Promise<Fleet> {
    const first = await recorded(await kind.startToTell());
    const other = await recorded(await kind.startOther());
    return new Fleet(first, other, await startSteering([first.proxy.target, other.proxy.target]));
  }

  get workers(): readonly [Recorded<Server>, Recorded<Server>] {
    return [this.first, this.other];
  }

  get gateway(): Gateway {
    return this.#gateway;
  }

  /** Another gateway, which knows nothing but what the workers tell it; they are given to it the other way round. */
  async replaceGateway(): Promise<void> {
    this.#gateway.stop();
    this.#gateway = await startSteering([this.other.proxy.target, this.first.proxy.target]);
    await until("it knows what both hold", () => snapshotsIn(this.#gateway).length === 2);
  }

  /** How many requests each worker got since the last call. */
  takeCounts(): [first: number, other: number] {
    return [this.first.proxy.takePrompts().length, this.other.proxy.takePrompts().length];
  }

  async stop(): Promise<void> {
    this.#gateway.stop();
    for (const { server, proxy } of this.workers) {
      await proxy.close();
      server.kill();
    }
  }
}

/** Asks a worker without the gateway, so that only the worker's events can tell it who holds the prompt. */
export async function askDirectly(server: Server, prompt: string): Promise<void> {
  const flags = ["--raw", "--max-tokens", "4", "--addr", server.target];
  const { code, stderr } = await run(process.execPath, [tokenwire, "generate", ...flags, prompt]);
  if (code !== 0) throw new Error(`the worker did not answer\n${stderr}`);
  await sleep(toldMs);
}

/** What a gateway says of the workers' events, and of what is wrong. */
export function logOf(gateway: Gateway): string {
  const lines = stripVTControlCharacters(gateway.log()).split("\n");
  return lines.filter((line) => / WARN | ERROR |KV event/.test(line)).join("\n");
}

/** The whole states that a gateway was told in place of events. */
export function snapshotsIn(gateway: Gateway): readonly string[] {
  return logOf(gateway).match(/^.*snapshot applied.*$/gm) ?? [];
}

async function recorded<Kind extends Server>(server: Kind): Promise<Recorded<Kind>> {
  return { server, proxy: await startRecordingProxy(server.target) };
}

async function startSteering(targets: readonly string[]): Promise<Gateway> {
  const gateway = await startGateway(targets, { policy: "cache_aware", flags: steeringFlags });
  await until("all workers are ready", async () => {
    const ready = (await workersOf(gateway.url)).filter(({ status }) => status === "ready");
    return ready.length === targets.length;
  });
  return gateway;
}
