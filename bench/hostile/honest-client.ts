import { type ClientHttp2Session, connect } from "node:http2";

const connections = 4;
const intervalMs = 5;
const request = Buffer.alloc(5);

/** Other people's client: one Check each 5 ms over four connections, whatever happens to the server. */
export class HonestClient {
  readonly #sessions: readonly ClientHttp2Session[];
  #latenciesMs: number[] = [];
  #failures = 0;
  readonly #timer: NodeJS.Timeout;
  #next = 0;

  constructor(port: number) {
    this.#sessions = Array.from({ length: connections }, () => connect(`http://127.0.0.1:${port}`));
    for (const session of this.#sessions) session.on("error", () => undefined);
    this.#timer = setInterval(() => this.#check(), intervalMs);
  }

  /** What was seen since the last time: how long each Check took, and how many failed. */
  take(): { readonly latenciesMs: readonly number[]; readonly failures: number } {
    const taken = { latenciesMs: this.#latenciesMs, failures: this.#failures };
    this.#latenciesMs = [];
    this.#failures = 0;
    return taken;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const session of this.#sessions) session.destroy();
  }

  #check(): void {
    const session = this.#sessions[this.#next++ % this.#sessions.length];
    if (session === undefined || session.destroyed) {
      this.#failures += 1;
      return;
    }
    const startedAtMs = performance.now();
    const path = "/grpc.health.v1.Health/Check";
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    let status: unknown;
    stream.on("response", (headers) => {
      status ??= headers["grpc-status"];
    });
    stream.on("trailers", (trailers) => {
      status ??= trailers["grpc-status"];
    });
    stream.on("error", () => undefined);
    stream.on("close", () => {
      if (status === "0") this.#latenciesMs.push(performance.now() - startedAtMs);
      else this.#failures += 1;
    });
    stream.resume();
    stream.end(request);
  }
}

/** The value below which so many of a hundred lie. */
export function percentile(values: readonly number[], of100: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * of100) / 100))] ?? Number.NaN;
}
