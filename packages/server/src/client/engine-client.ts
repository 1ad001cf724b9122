import { Client, type ClientReadableStream, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { GetTokenizerChunk, GetTokenizerRequest } from "../generated/common.ts";
import { GenerateRequest, GenerateResponse } from "../generated/vllm_engine.ts";

/** A server-streaming call as a client reads it. Reading slowly holds the server back. */
export interface ResponseStream<Response> extends AsyncIterable<Response> {
  /** Ends the call; iterating then throws a status CANCELLED. */
  cancel(): void;
}

/** When a call is given up, milliseconds since the epoch. */
export interface CallOptions {
  readonly deadlineMs?: number | undefined;
}

/** The part of vllm.grpc.engine.VllmEngine that the command line uses. */
export interface EngineClient {
  getTokenizer(options?: CallOptions): ResponseStream<GetTokenizerChunk>;
  generate(request: GenerateRequest, options?: CallOptions): ResponseStream<GenerateResponse>;
  close(): void;
}

// Above any chunk of tokens or of a tokenizer; a server that sends larger messages is answered RESOURCE_EXHAUSTED.
const maxReceiveMessageBytes = 64 * 1024 * 1024;

/** Connects on the first call, in plaintext, to `host:port`. The caller closes it. */
export function createEngineClient(target: string): EngineClient {
  const client = new Client(target, credentials.createInsecure(), {
    "grpc.max_receive_message_length": maxReceiveMessageBytes,
    "grpc.enable_retries": 0,
    // A proxy for web pages, set in the environment, is no way to a server in the own network.
    "grpc.enable_http_proxy": 0,
  });
  const stream = <Request, Response>(
    method: string,
    request: { encode(message: Request): { finish(): Uint8Array } },
    response: { decode(bytes: Uint8Array): Response },
    message: Request,
    { deadlineMs }: CallOptions = {},
  ): ClientReadableStream<Response> =>
    client.makeServerStreamRequest(
      `/vllm.grpc.engine.VllmEngine/${method}`,
      (value: Request) => Buffer.from(request.encode(value).finish()),
      (bytes: Buffer) => response.decode(bytes),
      message,
      new Metadata(),
      deadlineMs === undefined ? {} : { deadline: deadlineMs },
    );
  return {
    getTokenizer: (options) => stream("GetTokenizer", GetTokenizerRequest, GetTokenizerChunk, {}, options),
    generate: (request, options) => stream("Generate", GenerateRequest, GenerateResponse, request, options),
    close: () => client.close(),
  };
}

/** True for what a call of an {@link EngineClient} throws when it ends with a status other than OK. */
export function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "number" && "details" in thrown;
}

/** True when the call failed because nothing answered at the address (as opposed to a server that said UNAVAILABLE). */
export function isConnectionFailure(error: ServiceError): boolean {
  return (
    error.code === 14 && /^(No connection established|Name resolution failed|Failed to connect)/.test(error.details)
  );
}
