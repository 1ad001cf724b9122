/**
 * Asks a health port from a thread of its own, so that it goes on while the test's thread is blocked: three Checks over
 * and over, and a Watch. What it saw last stands in shared memory, where a blocked thread can look.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type CheckAnswer, HealthClient } from "./health-client.ts";

/** The names that are asked, in this order. */
const asked = ["", "liveness", "readiness"] as const;

export interface Sight {
  /** What was answered for "", "liveness" and "readiness": "SSN" is NOT_SERVING for readiness alone. */
  readonly letters: string;
  /** Of readiness. */
  readonly reason: string | undefined;
  readonly detail: string | undefined;
}

interface OnlookerData {
  readonly port: number;
  readonly memory: SharedArrayBuffer;
}

const giveUpAfterMs = 20_000;

export class Onlooker {
  readonly #worker: Worker;
  readonly #seen: Uint8Array;

  constructor(port: number) {
    const memory = new SharedArrayBuffer(asked.length);
    this.#seen = new Uint8Array(memory);
    this.#worker = new Worker(new URL(import.meta.url), {
      workerData: { port, memory } satisfies OnlookerData,
      execArgv: ["--conditions=tokenwire-source"],
    });
  }

  /** Blocks this thread, its event loop included, until the letters are seen from outside. Throws after 20 s. */
  blockUntil(letters: string): void {
    const giveUpAtMs = performance.now() + giveUpAfterMs;
    while (this.#letters() !== letters) {
      if (performance.now() > giveUpAtMs) throw new Error(`saw ${this.#letters()}, never ${letters}`);
    }
  }

  /** Waits for the letters with this thread's event loop turning. */
  async until(letters: string): Promise<void> {
    while (this.#letters() !== letters) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Ends it and answers each different sight in order, and what the Watch of readiness said. */
  async finish(): Promise<{ readonly sights: readonly Sight[]; readonly watched: readonly string[] }> {
    const { promise, resolve } = Promise.withResolvers<{ sights: Sight[]; watched: string[] }>();
    this.#worker.once("message", resolve);
    this.#worker.postMessage("finish");
    return promise;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #letters(): string {
    return Array.from(asked, (_, index) => String.fromCharCode(Atomics.load(this.#seen, index))).join("");
  }
}

async function look({ port, memory }: OnlookerData): Promise<void> {
  const seen = new Uint8Array(memory);
  const client = new HealthClient(port);
  const watch = client.watch("readiness");
  const sights: Sight[] = [];
  let finished = false;
  parentPort?.once("message", () => {
    finished = true;
  });
  while (!finished) {
    const answers: CheckAnswer[] = [];
    for (const name of asked) answers.push(await client.check(name));
    const letters = answers.map(({ status }) => status.charAt(0)).join("");
    const { reason, detail } = answers.at(-1) ?? {};
    if (letters !== sights.at(-1)?.letters) sights.push({ letters, reason, detail });
    for (const [index, letter] of [...letters].entries()) Atomics.store(seen, index, letter.charCodeAt(0));
  }
  watch.cancel();
  client.close();
  parentPort?.postMessage({ sights, watched: watch.heard });
}

if (!isMainThread && workerData !== null && typeof workerData === "object" && "memory" in workerData) {
  await look(workerData as OnlookerData);
}
