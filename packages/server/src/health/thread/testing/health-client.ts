import { Client, type ClientReadableStream, credentials, Metadata } from "@grpc/grpc-js";
import {
  decodeHealthCheckResponse,
  decodeHealthListResponse,
  encodeHealthCheckRequest,
  type HealthCheckResponse,
} from "@tokenwire/health";

const service = "/grpc.health.v1.Health";
const requestBytes = (name: string): Buffer => Buffer.from(encodeHealthCheckRequest({ service: name }));

export interface CheckAnswer {
  readonly status: string;
  readonly reason: string | undefined;
  readonly detail: string | undefined;
}

/** A grpc-js client of `grpc.health.v1.Health` with a connection of its own. */
export class HealthClient {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 100,
    });
  }

  /** Rejects with the ServiceError of a failed call. Waits for the connection. */
  check(name: string): Promise<CheckAnswer> {
    return new Promise((resolve, reject) => {
      let status = "";
      const call = this.#client.makeUnaryRequest(
        `${service}/Check`,
        requestBytes,
        decodeHealthCheckResponse,
        name,
        waitForReady(),
        { deadline: Date.now() + 20_000 },
        (error, response) => {
          if (error) reject(error);
          else status = response?.status ?? "";
        },
      );
      call.on("status", ({ metadata }) => {
        const first = (key: string): string | undefined => metadata.get(key)[0]?.toString();
        resolve({ status, reason: first("tokenwire-health-reason"), detail: first("tokenwire-health-detail") });
      });
    });
  }

  list(): Promise<Record<string, string>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `${service}/List`,
        () => Buffer.alloc(0),
        decodeHealthListResponse,
        undefined,
        waitForReady(),
        (error, response) => {
          if (error) reject(error);
          else resolve(Object.fromEntries(response?.statuses ?? []));
        },
      );
    });
  }

  watch(name: string): StatusStream {
    return new StatusStream(
      this.#client.makeServerStreamRequest(
        `${service}/Watch`,
        requestBytes,
        decodeHealthCheckResponse,
        name,
        waitForReady(),
      ),
    );
  }

  close(): void {
    this.#client.close();
  }
}

/** What a Watch has said so far. */
export class StatusStream {
  readonly heard: string[] = [];
  readonly #stream: ClientReadableStream<HealthCheckResponse>;
  readonly #ended: Promise<{ readonly code: number; readonly details: string }>;

  constructor(stream: ClientReadableStream<HealthCheckResponse>) {
    this.#stream = stream;
    const { promise, resolve } = Promise.withResolvers<{ readonly code: number; readonly details: string }>();
    this.#ended = promise;
    stream.on("data", ({ status }: HealthCheckResponse) => {
      this.heard.push(status);
      stream.emit("heard");
    });
    stream.on("status", ({ code, details }) => resolve({ code, details }));
    stream.on("error", () => undefined);
  }

  /** Resolves when the last status is this one. */
  async until(status: string): Promise<void> {
    while (this.heard.at(-1) !== status) await new Promise((resolve) => this.#stream.once("heard", resolve));
  }

  get ended(): Promise<{ readonly code: number; readonly details: string }> {
    return this.#ended;
  }

  cancel(): void {
    this.#stream.cancel();
  }
}

function waitForReady(): Metadata {
  return new Metadata({ waitForReady: true });
}
