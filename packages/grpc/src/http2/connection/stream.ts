import type { FixedFields } from "./fixed-fields.ts";
import type { RequestFields } from "./request-fields.ts";
import type { Waiting } from "./waiting.ts";

/** Who takes what happens on a stream. Nothing here may throw. */
export interface StreamHandler {
  /**
   * Content came; the bytes between `start` and `end` may be kept, they are never written again. `last`: the client
   * has half-closed, perhaps with no content at all. Give credit back with {@link Stream.consume}.
   */
  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void;
  /** The stream is gone before both sides ended it: the client reset it, the connection broke, or a rule was broken. */
  onReset(): void;
  /** The answer went into the output whole. */
  onSent(): void;
  /** After a write that answered false: there is room again. */
  onWritable(): void;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  sendHeaders(stream: Stream, fixed: FixedFields, extra: readonly string[], endStream: boolean): void;
  sendBytes(stream: Stream, bytes: Uint8Array): void;
  /** Ends the answer with trailers behind everything written so far. */
  sendTrailers(stream: Stream, fixed: FixedFields, extra: readonly string[]): void;
  /** Ends the answer without trailers. */
  finish(stream: Stream): void;
  resetStream(stream: Stream, errorCode: number): void;
  credit(stream: Stream): void;
  /** So many bytes of content that waited are forgotten. */
  dropped(bytes: number): void;
}

/**
 * One request and its answer (RFC 9113 section 5.1). A stream of ours is only ever in these states:
 *
 * ```
 *                 HEADERS
 *  idle ───────────────────────► open
 *                                 │ END_STREAM from the client        │ our END_STREAM
 *                                 ▼                                   ▼
 *                         half-closed (remote)               reset with NO_ERROR, closed
 *                                 │ our END_STREAM, or RST_STREAM from either
 *                                 ▼
 *                               closed
 * ```
 *
 * The fields are the connection's; a user of the stream reads `open` and `remoteClosed` and calls the methods.
 */
export class Stream {
  // What a message of a paced stream touches stands together: it is not in the processor's cache (bench/transport, p256).
  readonly id: number;
  /** False once nothing can be sent any more. */
  open = true;
  headersSent = false;
  /** What we may still send; SETTINGS can make it negative (RFC 9113 section 6.9.2). */
  sendWindow: number;
  /** Undefined as long as every message was written in place. */
  waiting: Waiting | undefined;
  request: RequestFields;
  readonly openedAtMs: number;
  handler: StreamHandler | undefined;
  /** The client has sent END_STREAM. */
  remoteClosed = false;
  /** Bytes of content that came. */
  receivedBytes = 0;
  /** What the client may still send; negative is its mistake. */
  receiveWindow: number;
  /** What the client may have on its way, read and unread, before it needs credit. Grows with the path. */
  receiveTarget: number;
  /** Bytes taken by the handler for which no WINDOW_UPDATE went out yet. */
  uncreditedBytes = 0;
  readonly #owner: StreamOwner;

  constructor(
    id: number,
    request: RequestFields,
    owner: StreamOwner,
    receiveWindow: number,
    sendWindow: number,
    nowMs: number,
  ) {
    this.id = id;
    this.request = request;
    this.#owner = owner;
    this.receiveWindow = receiveWindow;
    this.receiveTarget = receiveWindow;
    this.sendWindow = sendWindow;
    this.openedAtMs = nowMs;
  }

  /** Content that waits for a window or for its turn. */
  get pendingBytes(): number {
    return this.waiting === undefined ? 0 : this.waiting.bytes;
  }

  /** A write answered false, so the handler waits to be called. */
  get wantsRoom(): boolean {
    return this.waiting?.wantsRoom === true;
  }

  /** Sends the answer's header, once; with `endStream` it is the whole answer. */
  sendHeaders(fixed: FixedFields, extra: readonly string[], endStream: boolean): void {
    if (this.open && !this.headersSent) this.#owner.sendHeaders(this, fixed, extra, endStream);
  }

  /** Sends content, or keeps it until there is room. */
  sendBytes(bytes: Uint8Array): void {
    if (this.open && !this.#isEnding) this.#owner.sendBytes(this, bytes);
  }

  /** Ends the answer with trailers behind everything written so far. */
  sendTrailers(fixed: FixedFields, extra: readonly string[]): void {
    if (this.open && !this.#isEnding) this.#owner.sendTrailers(this, fixed, extra);
  }

  /** Ends the answer without trailers. */
  end(): void {
    if (this.open && !this.#isEnding) this.#owner.finish(this);
  }

  /** Forgets content that was not sent yet, so that an end can go out before it. */
  dropPending(): void {
    const { waiting } = this;
    if (waiting === undefined) return;
    if (waiting.bytes > 0) this.#owner.dropped(waiting.bytes);
    waiting.drop();
  }

  /** Ends the stream at once with RST_STREAM. The handler is not told. */
  reset(errorCode: number): void {
    if (this.open) this.#owner.resetStream(this, errorCode);
  }

  /** The handler has taken so many bytes of what came, so the client may send as many more. */
  consume(bytes: number): void {
    if (this.remoteClosed || !this.open) return;
    this.uncreditedBytes += bytes;
    this.#owner.credit(this);
  }

  get #isEnding(): boolean {
    return this.waiting?.ending !== undefined;
  }
}
