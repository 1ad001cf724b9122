import type { BidiStreamingHandler, Call, ServerStreamingHandler, UnaryHandler } from "./call.ts";

/**
 * One method of a service, ready to be served: its name on the wire, its codec and the handler that answers.
 *
 * A transport sees messages as `unknown`; that codec and handler agree on them is settled where both are given, in
 * {@link unary}, {@link serverStreaming} and {@link bidiStreaming}. `decodeRequest` throws on malformed bytes, which
 * the transport answers with INVALID_ARGUMENT.
 */
export type Method = {
  readonly name: string;
  decodeRequest(bytes: Uint8Array): unknown;
  encodeResponse(response: unknown): Uint8Array;
  /** Writes a response straight into the transport's output; used in place of `encodeResponse` where given. */
  encodeInto?(response: unknown, writer: MessageWriter): void;
  /** The answer ends only when somebody ends it (a watch, a subscription), so a drain does not wait for it. */
  readonly openEnded?: boolean;
} /** A {@link UnaryHandler}, or one that answers at once, which spares a promise for each call. */ & (
  | { readonly kind: "unary"; readonly handler: (request: unknown, call: Call) => unknown }
  | { readonly kind: "server-streaming"; readonly handler: ServerStreamingHandler<unknown, unknown> }
  | { readonly kind: "bidi-streaming"; readonly handler: BidiStreamingHandler<unknown, unknown> }
);

/** A service as the transport registers it. `name` is the full proto name, e.g. `grpc.health.v1.Health`. */
export interface Service {
  readonly name: string;
  readonly methods: readonly Method[];
  /**
   * New calls are still answered after `RpcServer.refuseNewCalls`, until the port closes. For services whose answer
   * is the news of the drain itself, as health is.
   */
  readonly servesWhileDraining?: boolean;
}

export interface StreamingOptions {
  /** See {@link Method}. Default false. */
  readonly openEnded?: boolean;
}

/** Reads a request; generated messages are one. */
export interface RequestCodec<Request> {
  decode(bytes: Uint8Array): Request;
}

/** Where an encoder writes a message into a transport's output: up to so many bytes behind `at` after `reserve`. */
export interface MessageWriter {
  /** The buffer to write in; another one after {@link reserve} when it was too small. */
  readonly bytes: Uint8Array;
  /** The next byte to write. */
  at: number;
  /** Makes sure that `size` bytes may be written at `at`. */
  reserve(size: number): void;
}

/** Writes a response; generated messages are one. */
export interface ResponseCodec<Response> {
  encode(message: Response): { finish(): Uint8Array };
  /** For the messages that come most: writes the same bytes without a buffer of their own. */
  encodeInto?(message: Response, writer: MessageWriter): void;
}

/** Defines a unary method from generated messages and its handler. */
export function unary<Request, Response>(
  name: string,
  request: RequestCodec<Request>,
  response: ResponseCodec<Response>,
  handler: UnaryHandler<Request, Response>,
): Method {
  return { kind: "unary", name, ...codec(request, response), handler: handler as UnaryHandler<unknown, unknown> };
}

/** Defines a server-streaming method from generated messages and its handler. */
export function serverStreaming<Request, Response>(
  name: string,
  request: RequestCodec<Request>,
  response: ResponseCodec<Response>,
  handler: ServerStreamingHandler<Request, Response>,
  options: StreamingOptions = {},
): Method {
  return {
    kind: "server-streaming",
    name,
    ...codec(request, response),
    ...options,
    handler: handler as ServerStreamingHandler<unknown, unknown>,
  };
}

/** Defines a bidirectional method from generated messages and its handler. */
export function bidiStreaming<Request, Response>(
  name: string,
  request: RequestCodec<Request>,
  response: ResponseCodec<Response>,
  handler: BidiStreamingHandler<Request, Response>,
  options: StreamingOptions = {},
): Method {
  return {
    kind: "bidi-streaming",
    name,
    ...codec(request, response),
    ...options,
    handler: handler as BidiStreamingHandler<unknown, unknown>,
  };
}

function codec<Request, Response>(request: RequestCodec<Request>, response: ResponseCodec<Response>) {
  const { encodeInto } = response;
  return {
    decodeRequest: (bytes: Uint8Array): unknown => request.decode(bytes),
    encodeResponse: (message: unknown): Uint8Array => response.encode(message as Response).finish(),
    ...(encodeInto === undefined
      ? {}
      : { encodeInto: (message: unknown, writer: MessageWriter): void => encodeInto(message as Response, writer) }),
  };
}
