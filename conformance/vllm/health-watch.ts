import { once } from "node:events";
import { Client, type ClientReadableStream, credentials } from "@grpc/grpc-js";

export type Status = "UNKNOWN" | "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

const names: readonly Status[] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** Watches one name of grpc.health.v1 and keeps when each status came. Whoever makes it closes it. */
export class HealthWatch {
  readonly #client: Client;
  readonly #call: ClientReadableStream<Status>;
  /** `performance.now()` of each status, in order. */
  readonly heard: { readonly status: Status; readonly atMs: number }[] = [];

  constructor(target: string, service: string) {
    this.#client = new Client(target, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
    const name = Buffer.from(service);
    // HealthCheckRequest.service is field 1, length-delimited; HealthCheckResponse.status is field 1, a varint.
    this.#call = this.#client.makeServerStreamRequest(
      "/grpc.health.v1.Health/Watch",
      () => (name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name])),
      (bytes: Buffer) => names[bytes[1] ?? 0] ?? "UNKNOWN",
      undefined,
    );
    this.#call.on("error", () => undefined);
    this.#call.on("data", (status: Status) => {
      this.heard.push({ status, atMs: performance.now() });
      this.#call.emit("heard");
    });
  }

  get last(): Status | undefined {
    return this.heard.at(-1)?.status;
  }

  /** Resolves with the moment of the status that is there or comes next; rejects after the limit. */
  async until(status: Status, limitMs: number): Promise<number> {
    const signal = AbortSignal.timeout(limitMs);
    while (this.last !== status) await once(this.#call, "heard", { signal });
    return this.heard.at(-1)?.atMs ?? 0;
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}
