import { Client, credentials } from "@grpc/grpc-js";
import { decodeHealthCheckResponse, encodeHealthCheckRequest } from "@tokenwire/health";

export interface Check {
  /** From the moment at which it was sent. */
  readonly latencyMs: number;
  readonly status: string;
}

/** Asks for `readiness` at a steady rate over one connection, whether earlier answers have come or not. */
export class Asker {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  }

  /** Resolves when the last one is answered. */
  async ask(forMs: number, perSecond: number): Promise<Check[]> {
    const begunAtMs = performance.now();
    const checks: Promise<Check>[] = [];
    const count = Math.round((forMs / 1000) * perSecond);
    while (checks.length < count) {
      const dueAtMs = begunAtMs + (checks.length * 1000) / perSecond;
      const waitMs = dueAtMs - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      checks.push(this.#check());
    }
    return Promise.all(checks);
  }

  close(): void {
    this.#client.close();
  }

  #check(): Promise<Check> {
    const sentAtMs = performance.now();
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        () => Buffer.from(encodeHealthCheckRequest({ service: "readiness" })),
        decodeHealthCheckResponse,
        undefined,
        (error, response) => {
          if (error) reject(error);
          else resolve({ latencyMs: performance.now() - sentAtMs, status: response?.status ?? "" });
        },
      );
    });
  }
}
