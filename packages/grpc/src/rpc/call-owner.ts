import type { CallRecord } from "./observer.ts";
import type { RequestMemory } from "./request-messages.ts";
import type { ServerCall } from "./server-call.ts";
import type { GrpcStatusError } from "./status.ts";

/** What a call needs of the server that it belongs to. */
export interface CallOwner {
  readonly memory: RequestMemory;
  readonly maxReceiveMessageBytes: number;
  readonly peer: string;
  /** A wall-clock time for one of the connection's clock. */
  wallMs(atMs: number): number;
  nowMs(): number;
  /** Watches over the call's deadline from the end of this turn on. */
  watch(call: ServerCall): void;
  unwatch(call: ServerCall, bucket: number): void;
  /** What counts this call for the server's observer; undefined without one. */
  observe(call: ServerCall): CallRecord | undefined;
  /** What a handler is told that a call ended with. */
  signalReason(status: GrpcStatusError): unknown;
  /** A handler failed by a bug; answers the sentence that the client gets. */
  handlerFailed(path: string, error: unknown): string;
  /** A handler failed after its call had been ended for another reason. */
  lateFailure(path: string, error: unknown): void;
  /** The last byte was written or the client is gone, and the handler has returned. */
  ended(call: ServerCall): void;
}
