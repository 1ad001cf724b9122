import { Client, type ClientReadableStream, credentials, Metadata } from "@grpc/grpc-js";
import { HealthCheckRequest, HealthCheckResponse } from "../packages/server/src/generated/grpc/health/v1/health.ts";

export type DrillStatus = "SERVING" | "NOT_SERVING" | "UNKNOWN";

export interface Change {
  readonly atMs: number;
  readonly status: DrillStatus;
}

const encode = (request: HealthCheckRequest): Buffer => Buffer.from(HealthCheckRequest.encode(request).finish());
const decode = (bytes: Buffer): HealthCheckResponse => HealthCheckResponse.decode(bytes);

function statusOf(response: HealthCheckResponse): DrillStatus {
  if (response.status === 1) return "SERVING";
  return response.status === 2 ? "NOT_SERVING" : "UNKNOWN";
}

/** Hears one health name through an open Watch, and remembers every change with its time. */
export class Timeline {
  readonly service: string;
  readonly changes: Change[] = [];
  /** Set when the stream ended, with the time. */
  endedAtMs: number | undefined;
  readonly #client: Client;
  readonly #stream: ClientReadableStream<HealthCheckResponse>;
  #waiters: (() => void)[] = [];

  constructor(target: string, service: string) {
    this.service = service;
    this.#client = new Client(target, credentials.createInsecure());
    const path = "/grpc.health.v1.Health/Watch";
    this.#stream = this.#client.makeServerStreamRequest(path, encode, decode, { service });
    this.#stream.on("data", (response: HealthCheckResponse) => {
      this.changes.push({ atMs: performance.now(), status: statusOf(response) });
      this.#wake();
    });
    this.#stream.on("error", () => this.#ended());
    this.#stream.on("end", () => this.#ended());
  }

  get last(): DrillStatus | undefined {
    return this.changes.at(-1)?.status;
  }

  /** Milliseconds from `sinceMs` to the first change to `status` after it; undefined when there was none. */
  delay(status: DrillStatus, sinceMs: number): number | undefined {
    const found = this.changes.find((change) => change.atMs >= sinceMs && change.status === status);
    return found === undefined ? undefined : found.atMs - sinceMs;
  }

  /** Changes to NOT_SERVING from `sinceMs` on. */
  alarms(sinceMs: number): number {
    return this.changes.filter((change) => change.atMs >= sinceMs && change.status === "NOT_SERVING").length;
  }

  /** Resolves true as soon as the name reads `status`, or false after the limit. */
  async reads(status: DrillStatus, limitMs: number): Promise<boolean> {
    const giveUpAtMs = performance.now() + limitMs;
    while (this.last !== status) {
      const leftMs = giveUpAtMs - performance.now();
      if (leftMs <= 0 || this.endedAtMs !== undefined) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return true;
  }

  close(): void {
    this.#stream.cancel();
    this.#client.close();
  }

  #ended(): void {
    this.endedAtMs ??= performance.now();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters = [];
  }
}

export interface Answer {
  readonly askedAtMs: number;
  readonly tookMs: number;
  /** Undefined when no answer came. */
  readonly status: DrillStatus | undefined;
  /** The reason word of the answer's trailers. */
  readonly reason: string | undefined;
}

/** Asks Check on a connection of its own, again and again, as a balancer does. */
export class Poller {
  readonly answers: Answer[] = [];
  readonly #client: Client;
  readonly #service: string;
  readonly #timer: NodeJS.Timeout;

  constructor(target: string, service: string, everyMs: number) {
    this.#client = new Client(target, credentials.createInsecure(), { "grpc.enable_retries": 0 });
    this.#service = service;
    this.#timer = setInterval(() => void this.ask(), everyMs);
  }

  ask(): Promise<Answer> {
    const askedAtMs = performance.now();
    return new Promise((resolve) => {
      let reason: string | undefined;
      let status: DrillStatus | undefined;
      const deadline = Date.now() + 1_000;
      const path = "/grpc.health.v1.Health/Check";
      const request = { service: this.#service };
      const call = this.#client.makeUnaryRequest(
        path,
        encode,
        decode,
        request,
        new Metadata(),
        { deadline },
        (_, response) => {
          status = response === undefined ? undefined : statusOf(response);
        },
      );
      call.on("status", ({ metadata }) => {
        reason = metadata.get("tokenwire-health-reason")[0]?.toString();
        const answer = { askedAtMs, tookMs: performance.now() - askedAtMs, status, reason };
        this.answers.push(answer);
        resolve(answer);
      });
    });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#client.close();
  }
}
