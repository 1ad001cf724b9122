import type { RequestMetadata } from "./metadata.ts";
import type { MetadataValue } from "./status.ts";

/** What a handler knows of the call it answers. */
export interface Call {
  /** Full method name, `/package.Service/Method`. */
  readonly path: string;
  /** Address of the client for logs; empty when unknown. */
  readonly peer: string;
  readonly metadata: RequestMetadata;
  /** When the client stops waiting (milliseconds since the epoch), or undefined without a deadline. */
  readonly deadlineMs: number | undefined;
  /**
   * Fires once when nobody will read the answer any more: the client cancelled, the deadline passed, the connection
   * broke, or the server ended the call. `signal.reason` is then a `GrpcStatusError` that says which.
   */
  readonly signal: AbortSignal;
  /**
   * Calls back once when `signal` fires, and at once when it has fired. Costs a tenth of the signal, for handlers of which
   * there are many. What the listener throws goes to `onEvent`.
   */
  onCancelled(listener: () => void): void;
  /** Sets response metadata; before the response headers went out. See `setTrailer` for keys and values. */
  setHeader(key: string, value: MetadataValue | readonly MetadataValue[]): void;
  /** Sends the response headers now; without it they go out with the first message. A second call does nothing. */
  sendHeaders(): void;
  /**
   * Adds trailing metadata: a lower-case key with an ASCII value, or one that ends in `-bin` with bytes. Throws a
   * TypeError for anything else.
   */
  setTrailer(key: string, value: MetadataValue | readonly MetadataValue[]): void;
  /** Compresses the messages of the answer with gzip, where the client takes that. Before the headers went out. */
  compress(): void;
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

/** A call whose answer others push: its handler has returned, and the answer goes on until one of these, or until it is cancelled. */
export interface PushedCall<Response> extends ServerStreamingCall<Response> {
  /** Ends the answer with OK. Nothing that is said after it goes out. */
  end(): void;
  /** Ends the answer with the status of this error, as a handler that throws it does. */
  fail(error: unknown): void;
}

/** A call whose request is a stream, pulled one message at a time. */
export interface ClientStreamingCall<Request> extends Call {
  /** Ends when the client half-closes; throws a `GrpcStatusError` when the client goes away. For one reader. */
  readonly requests: AsyncIterable<Request>;
}

/** A call with a stream in each direction. */
export interface BidiStreamingCall<Request, Response>
  extends ServerStreamingCall<Response>,
    ClientStreamingCall<Request> {}
