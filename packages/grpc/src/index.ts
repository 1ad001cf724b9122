export { defaultLimits, type Limits } from "./limits.ts";
export type { Listener, ListenTarget, TlsCredentials, TlsOptions } from "./node/listener.ts";
export { createServer, type Server, type ServerOptions } from "./node/server.ts";
export type { BidiStreamingCall, Call, ClientStreamingCall, PushedCall, ServerStreamingCall } from "./rpc/call.ts";
export {
  bidiStreaming,
  clientStreaming,
  type MethodOptions,
  type RequestCodec,
  type ResponseCodec,
  serverPush,
  serverStreaming,
  unary,
} from "./rpc/define-method.ts";
export type { Interceptor } from "./rpc/interceptor.ts";
export type { MessageWriter } from "./rpc/message-writer.ts";
export type { RequestMetadata } from "./rpc/metadata.ts";
export type { CallEnd, CallObserver } from "./rpc/observer.ts";
export type { ServerEvent } from "./rpc/rpc-server.ts";
export type {
  BidiStreamingHandler,
  ClientStreamingHandler,
  Method,
  ServerPushHandler,
  ServerStreamingHandler,
  Service,
  UnaryHandler,
} from "./rpc/service.ts";
export {
  GrpcStatusError,
  type GrpcStatusErrorOptions,
  type MetadataRecord,
  type MetadataValue,
  StatusCode,
  type StatusName,
} from "./rpc/status.ts";
