import type { BidiStreamingCall, Call, ClientStreamingCall, PushedCall, ServerStreamingCall } from "./call.ts";
import type { MessageWriter } from "./message-writer.ts";

/** May answer at once or later. Answering at once spares a promise for each call. */
export type UnaryHandler<Request, Response> = (request: Request, call: Call) => Response | Promise<Response>;
/** The stream ends OK when the promise resolves, and with the status of the error that it rejects with. */
export type ServerStreamingHandler<Request, Response> = (
  request: Request,
  call: ServerStreamingCall<Response>,
) => Promise<void>;
/**
 * Hands its call on to what pushes the answer, and returns; the answer ends by `call.end()` or `call.fail()`, or with the status
 * of an error that the handler throws. Spares the promise of each call, which a stream that lives long keeps (bench/transport, p256).
 */
export type ServerPushHandler<Request, Response> = (request: Request, call: PushedCall<Response>) => void;
export type ClientStreamingHandler<Request, Response> = (call: ClientStreamingCall<Request>) => Promise<Response>;
export type BidiStreamingHandler<Request, Response> = (call: BidiStreamingCall<Request, Response>) => Promise<void>;

/** One method: its name on the wire, its codec and its handler. Messages are `unknown` here; codec and handler agree. */
export type Method = {
  readonly name: string;
  /** Reads a message. It throws on malformed bytes, which is answered INVALID_ARGUMENT. It may keep views of the bytes. */
  decodeRequest(bytes: Uint8Array): unknown;
  encodeResponse(response: unknown): Uint8Array;
  /** Writes a message straight into the output; used in place of `encodeResponse` where given. */
  encodeInto?(response: unknown, writer: MessageWriter): void;
  /** The answer ends only when somebody ends it (a watch), so a drain does not wait for it. Default false. */
  readonly openEnded?: boolean;
} & (
  | { readonly kind: "unary"; readonly handler: UnaryHandler<unknown, unknown> }
  | { readonly kind: "server-streaming"; readonly handler: ServerStreamingHandler<unknown, unknown> }
  /** Server streaming, too; on the wire there is no difference. */
  | { readonly kind: "server-push"; readonly handler: ServerPushHandler<unknown, unknown> }
  | { readonly kind: "client-streaming"; readonly handler: ClientStreamingHandler<unknown, unknown> }
  | { readonly kind: "bidi-streaming"; readonly handler: BidiStreamingHandler<unknown, unknown> }
);

/** A service to register. `name` is the full proto name, e.g. `grpc.health.v1.Health`. */
export interface Service {
  readonly name: string;
  readonly methods: readonly Method[];
  /** New calls are still answered after `refuseNewCalls`, until the server closes. */
  readonly servesWhileDraining?: boolean;
}

/** Whether a method's request is a stream of messages and not one. */
export function takesStream(method: Method): boolean {
  return method.kind === "client-streaming" || method.kind === "bidi-streaming";
}
