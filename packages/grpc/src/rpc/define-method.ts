import type { MessageWriter } from "./message-writer.ts";
import type {
  BidiStreamingHandler,
  ClientStreamingHandler,
  Method,
  ServerPushHandler,
  ServerStreamingHandler,
  UnaryHandler,
} from "./service.ts";

/** Reads a message; it throws for malformed bytes. What ts-proto and protobufjs generate for a message is one. */
export interface RequestCodec<Request> {
  decode(bytes: Uint8Array): Request;
}

/** Writes a message. What ts-proto and protobufjs generate for a message is one. */
export interface ResponseCodec<Response> {
  encode(message: Response): { finish(): Uint8Array };
}

/** What a method may have besides its codec and its handler; see {@link Method}. */
export interface MethodOptions<Response> {
  readonly openEnded?: boolean;
  readonly encodeInto?: (response: Response, writer: MessageWriter) => void;
}

/** Defines a unary method. Its handler may answer at once or with a promise. */
export function unary<Request, Response>(
  name: string,
  request: RequestCodec<Request>,
  response: ResponseCodec<Response>,
  handler: UnaryHandler<Request, Response>,
  options: MethodOptions<Response> = {},
): Method {
  const base = method(name, request, response, options);
  return { kind: "unary", ...base, handler: handler as UnaryHandler<unknown, unknown> };
}

/** Defines a method whose answer is a stream, pushed with `call.write`. */
export function serverStreaming<Request, Response>(
  name: string,
  request: RequestCodec<Request>,
  response: ResponseCodec<Response>,
  handler: ServerStreamingHandler<Request, Response>,
  options: MethodOptions<Response> = {},
): Method {
  const base = method(name, request, response, options);
  return { kind: "server-streaming", ...base, handler: handler as ServerStreamingHandler<unknown, unknown> };
}

/**
 * Defines a method whose answer is a stream that goes on after its handler has returned: until `call.end()`, `call.fail()`, or
 * until it is cancelled. For streams of which there are many; {@link serverStreaming} is simpler.
 */
export function serverPush<Request, Response>(
  name: string,
  request: RequestCodec<Request>,
  response: ResponseCodec<Response>,
  handler: ServerPushHandler<Request, Response>,
  options: MethodOptions<Response> = {},
): Method {
  const base = method(name, request, response, options);
  return { kind: "server-push", ...base, handler: handler as ServerPushHandler<unknown, unknown> };
}

/** Defines a method whose request is a stream, pulled out of `call.requests`. */
export function clientStreaming<Request, Response>(
  name: string,
  request: RequestCodec<Request>,
  response: ResponseCodec<Response>,
  handler: ClientStreamingHandler<Request, Response>,
  options: MethodOptions<Response> = {},
): Method {
  const base = method(name, request, response, options);
  return { kind: "client-streaming", ...base, handler: handler as ClientStreamingHandler<unknown, unknown> };
}

/** Defines a method with a stream in each direction. */
export function bidiStreaming<Request, Response>(
  name: string,
  request: RequestCodec<Request>,
  response: ResponseCodec<Response>,
  handler: BidiStreamingHandler<Request, Response>,
  options: MethodOptions<Response> = {},
): Method {
  const base = method(name, request, response, options);
  return { kind: "bidi-streaming", ...base, handler: handler as BidiStreamingHandler<unknown, unknown> };
}

type Base = Pick<Method, "name" | "decodeRequest" | "encodeResponse" | "encodeInto" | "openEnded">;

/** That codec and handler agree is settled here, so a method may forget the types of its messages. */
function method<Request, Response>(
  name: string,
  request: RequestCodec<Request>,
  response: ResponseCodec<Response>,
  { openEnded = false, encodeInto }: MethodOptions<Response>,
): Base {
  return {
    name,
    openEnded,
    decodeRequest: (bytes) => request.decode(bytes),
    encodeResponse: (message) => response.encode(message as Response).finish(),
    ...(encodeInto === undefined ? {} : { encodeInto: encodeInto as NonNullable<Method["encodeInto"]> }),
  };
}
