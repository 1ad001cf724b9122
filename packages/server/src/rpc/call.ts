import type { GrpcStatusError } from "./status.ts";

/** Request metadata as a handler reads it: keys are lower case, a repeated key gives its first value. */
export interface RequestMetadata {
  get(key: string): string | undefined;
}

/** What every handler knows of the call it answers. No transport shows through. */
export interface Call {
  /** Full method name, `/package.Service/Method`. */
  readonly path: string;
  /** Address of the peer for logs; empty when unknown. */
  readonly peer: string;
  readonly metadata: RequestMetadata;
  /** When the client stops waiting (milliseconds since the epoch), or undefined without a deadline. */
  readonly deadlineMs: number | undefined;
  /**
   * Fires once when nobody will read the answer any more: the client cancelled, the deadline passed, the connection
   * broke, or the server's drain time ran out. `signal.reason` is then a {@link GrpcStatusError} that says which.
   */
  readonly signal: AbortSignal;
  /** Sends the response headers now; without it they go out with the first message. A second call does nothing. */
  sendHeaders(): void;
  /** Adds trailing metadata. ASCII values only; the key is lower case. */
  setTrailer(key: string, value: string): void;
}

/** A call whose answer is a stream, pushed with back-pressure. */
export interface ServerStreamingCall<Response> extends Call {
  /**
   * Sends one message. False means the client reads slower than we write: keep what follows until {@link drained}.
   * After the call has ended it does nothing and answers false.
   */
  write(message: Response): boolean;
  /** Resolves when writing may go on, or when the call has ended (look at `signal` then). Never rejects. */
  drained(): Promise<void>;
}

/** A call with a stream in each direction. Requests are pulled: none of ours is hot. */
export interface BidiStreamingCall<Request, Response> extends ServerStreamingCall<Response> {
  /** Ends when the client half-closes; throws a {@link GrpcStatusError} when the client goes away. */
  readonly requests: AsyncIterable<Request>;
}

export type UnaryHandler<Request, Response> = (request: Request, call: Call) => Promise<Response>;
/** The stream ends OK when the promise resolves and with the status of the {@link GrpcStatusError} it rejects with. */
export type ServerStreamingHandler<Request, Response> = (
  request: Request,
  call: ServerStreamingCall<Response>,
) => Promise<void>;
export type BidiStreamingHandler<Request, Response> = (call: BidiStreamingCall<Request, Response>) => Promise<void>;

/** Why a {@link Call.signal} fired, when a GrpcStatusError stands there; undefined for a live call. */
export function endOf(call: Call): GrpcStatusError | undefined {
  return call.signal.aborted ? (call.signal.reason as GrpcStatusError) : undefined;
}
