import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import type { ServingStatus } from "../../serving-status.ts";
import { encodeHealthCheckRequest, type HealthCheckRequest } from "../../wire/health-check-request.ts";
import { decodeHealthCheckResponse, type HealthCheckResponse } from "../../wire/health-check-response.ts";
import { decodeHealthListResponse, type HealthListResponse } from "../../wire/health-list-response.ts";

const path = (method: string): string => `/grpc.health.v1.Health/${method}`;
const encode = (request: HealthCheckRequest): Buffer => Buffer.from(encodeHealthCheckRequest(request));

/** A Watch as its client reads it. */
export interface OpenWatch {
  readonly heard: readonly ServingStatus[];
  /** Resolves when this many statuses were heard; rejects when the call ends before. */
  hears(count: number): Promise<readonly ServingStatus[]>;
  cancel(): void;
  readonly ended: Promise<StatusObject>;
}

/** grpc-js's own client, with the four messages' codecs: the stranger that the adapters answer to. */
export class HealthClient {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  /** Status and trailing metadata; rejects with grpc-js's ServiceError. */
  check(service: string): Promise<{ status: ServingStatus; trailers: Metadata }> {
    return this.checkBytes(encode({ service }));
  }

  checkBytes(bytes: Buffer): Promise<{ status: ServingStatus; trailers: Metadata }> {
    return new Promise((resolve, reject) => {
      let trailers = new Metadata();
      const answered = (error: ServiceError | null, response?: HealthCheckResponse): void => {
        if (error !== null || response === undefined) reject(error);
        else setImmediate(() => resolve({ status: response.status, trailers }));
      };
      this.#client
        .makeUnaryRequest(path("Check"), (value: Buffer) => value, decodeHealthCheckResponse, bytes, answered)
        .on("status", (status: StatusObject) => {
          trailers = status.metadata;
        });
    });
  }

  list(): Promise<ReadonlyMap<string, ServingStatus>> {
    return new Promise((resolve, reject) => {
      const answered = (error: ServiceError | null, response?: HealthListResponse): void => {
        if (error !== null || response === undefined) reject(error);
        else resolve(response.statuses);
      };
      const nothing = (): Buffer => Buffer.alloc(0);
      this.#client.makeUnaryRequest(path("List"), nothing, decodeHealthListResponse, {}, answered);
    });
  }

  watch(service: string, options: { readonly deadline?: Date } = {}): OpenWatch {
    const call: ClientReadableStream<HealthCheckResponse> = this.#client.makeServerStreamRequest(
      path("Watch"),
      encode,
      decodeHealthCheckResponse,
      { service },
      options,
    );
    const heard: ServingStatus[] = [];
    const ended = new Promise<StatusObject>((resolve) => {
      call.on("status", resolve);
    });
    call.on("error", () => {});
    call.on("data", (response: HealthCheckResponse) => heard.push(response.status));
    return {
      heard,
      ended,
      cancel: () => call.cancel(),
      hears: async (count) => {
        while (heard.length < count) {
          const next = new Promise<undefined>((resolve) => {
            call.once("data", () => resolve(undefined));
          });
          const end = await Promise.race([next, ended]);
          if (end !== undefined) throw new Error(`the Watch ended after ${heard.length}: ${end.code} ${end.details}`);
        }
        return heard;
      },
    };
  }

  close(): void {
    this.#client.close();
  }
}
