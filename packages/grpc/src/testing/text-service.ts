import type {
  BidiStreamingHandler,
  ClientStreamingHandler,
  Method,
  ServerPushHandler,
  ServerStreamingHandler,
  UnaryHandler,
} from "../rpc/service.ts";

/** Messages of tests are plain UTF-8 texts. */
const text = {
  decodeRequest: (bytes: Uint8Array): unknown => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
  encodeResponse: (message: unknown): Uint8Array => Buffer.from(message as string),
};

export function unary(name: string, handler: UnaryHandler<string, string>): Method {
  return { kind: "unary", name, ...text, handler: handler as UnaryHandler<unknown, unknown> };
}

export function serverStreaming(
  name: string,
  handler: ServerStreamingHandler<string, string>,
  openEnded = false,
): Method {
  return {
    kind: "server-streaming",
    name,
    ...text,
    openEnded,
    handler: handler as ServerStreamingHandler<unknown, unknown>,
  };
}

export function serverPush(name: string, handler: ServerPushHandler<string, string>): Method {
  return { kind: "server-push", name, ...text, handler: handler as ServerPushHandler<unknown, unknown> };
}

export function clientStreaming(name: string, handler: ClientStreamingHandler<string, string>): Method {
  return { kind: "client-streaming", name, ...text, handler: handler as ClientStreamingHandler<unknown, unknown> };
}

export function bidiStreaming(name: string, handler: BidiStreamingHandler<string, string>): Method {
  return { kind: "bidi-streaming", name, ...text, handler: handler as BidiStreamingHandler<unknown, unknown> };
}
