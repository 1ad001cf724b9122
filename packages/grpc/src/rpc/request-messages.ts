import type { Stream } from "../http2/connection/stream.ts";
import { type Encoding, inflate } from "./compression.ts";
import { MessageError, MessageReader, type WireMessage } from "./message-reader.ts";
import { GrpcStatusError } from "./status.ts";

/** Gzip makes no more than this many bytes of one (zlib's own figure is 1,032). */
const mostInflation = 1_032;

/** Counts the request bytes that the whole server holds. */
export interface RequestMemory {
  /** Takes (or with a negative number gives back) so many bytes; false when the bound is passed. */
  take(bytes: number): boolean;
  /** Whether so many bytes could be taken now. */
  hasRoom(bytes: number): boolean;
}

/** How much a request may hold. */
export interface RequestBounds {
  readonly maxMessageBytes: number;
  readonly memory: RequestMemory;
}

/** Who gets the messages of a request. Neither method throws. */
export interface MessageTarget {
  /** True while another message is wanted; the rest waits, and the client with it. */
  readonly wantsMessage: boolean;
  /** Bytes of a message that was handed over and waits with the target for the request's end. */
  readonly keptBytes: number;
  onMessage(bytes: Uint8Array): void;
  /** All messages were handed over and the client has half-closed. */
  onEnd(): void;
  onFailure(error: GrpcStatusError): void;
}

/**
 * The messages of one request: out of DATA, inflated where needed, and one by one to who wants them. Credit goes back
 * to the client when nothing whole is left unread, so what is held is bounded by the window and one message.
 */
export class RequestMessages {
  readonly #stream: Stream;
  readonly #target: MessageTarget;
  readonly #reader: MessageReader;
  readonly #encoding: Encoding;
  readonly #memory: RequestMemory;
  readonly #maxBytes: number;
  #takenBytes = 0;
  #creditBytes = 0;
  #ended = false;
  #inflating = false;
  #closed = false;
  #stuckAt = -1;
  #stuckSinceMs = 0;

  constructor(stream: Stream, target: MessageTarget, encoding: Encoding, bounds: RequestBounds) {
    this.#stream = stream;
    this.#target = target;
    this.#encoding = encoding;
    this.#memory = bounds.memory;
    this.#maxBytes = bounds.maxMessageBytes;
    this.#reader = new MessageReader(bounds.maxMessageBytes);
  }

  /** Takes content from the stream. */
  feed(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (this.#closed) {
      this.#stream.consume(end - start);
      return;
    }
    this.#creditBytes += end - start;
    this.#ended ||= last;
    if (end > start) this.#reader.feed(bytes, start, end);
    this.#handOut();
    this.#reader.hold();
    this.#account();
  }

  /** Another message is wanted. */
  advance(): void {
    this.#handOut();
    this.#account();
  }

  /**
   * Says since when the rest of a message is waited for, as far as was seen at earlier calls; undefined when none is.
   * Looking now and then costs nothing where messages come.
   */
  stuckSinceMs(nowMs: number): number | undefined {
    const waits = !this.#closed && !this.#inflating && this.#reader.unreadBytes > 0 && this.#target.wantsMessage;
    // Where the message begins tells it from those before.
    const at = waits ? this.#stream.receivedBytes - this.#reader.unreadBytes : -1;
    if (at !== this.#stuckAt) {
      this.#stuckAt = at;
      this.#stuckSinceMs = nowMs;
    }
    return waits ? this.#stuckSinceMs : undefined;
  }

  /** Hands on what is whole, as long as it is wanted. */
  #handOut(): void {
    try {
      while (!this.#closed && !this.#inflating && this.#target.wantsMessage) {
        const message = this.#reader.next();
        if (message === undefined) {
          this.#atEnd();
          break;
        }
        this.#handOn(message);
      }
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** Nothing is wanted any more. */
  close(): void {
    this.#closed = true;
    this.#memory.take(-this.#takenBytes);
    this.#takenBytes = 0;
    this.#stream.consume(this.#creditBytes);
    this.#creditBytes = 0;
  }

  #atEnd(): void {
    if (!this.#ended) {
      this.#stream.consume(this.#creditBytes);
      this.#creditBytes = 0;
    } else if (this.#reader.unreadBytes > 0) {
      throw new MessageError("malformed", "the request ends within a message");
    } else {
      this.#closed = true;
      this.#target.onEnd();
    }
  }

  #handOn(message: WireMessage): void {
    if (!message.compressed) {
      this.#target.onMessage(message.bytes);
      return;
    }
    if (this.#encoding === "identity") {
      throw new MessageError("malformed", "a message is compressed and grpc-encoding does not say how");
    }
    const worstBytes = Math.min(this.#maxBytes, message.bytes.length * mostInflation);
    const inflated = inflate(message.bytes, this.#maxBytes, () => {
      // Nobody works for a call that is gone, nor a server that is full for what it cannot keep.
      if (this.#closed || !this.#memory.hasRoom(worstBytes)) throw noRoom();
    });
    if (inflated instanceof Uint8Array) {
      this.#target.onMessage(inflated);
      return;
    }
    this.#inflating = true;
    // On the account until it is done, also when the call is gone before: the queue of the threads holds it.
    const { length } = message.bytes;
    const hasRoom = this.#memory.take(length);
    const done = (): void => {
      this.#inflating = false;
      this.#memory.take(-length);
    };
    inflated.then(
      (bytes) => {
        done();
        if (this.#closed) return;
        this.#target.onMessage(bytes);
        this.advance();
      },
      (thrown: unknown) => {
        done();
        this.#fail(thrown);
      },
    );
    if (!hasRoom) throw noRoom();
  }

  /** Tells the server's account what the request takes. */
  #account(): void {
    const change = this.#reader.heldBytes + this.#target.keptBytes - this.#takenBytes;
    if (change === 0 || this.#closed) return;
    this.#takenBytes += change;
    if (!this.#memory.take(change)) this.#fail(noRoom());
  }

  #fail(thrown: unknown): void {
    if (this.#closed) return;
    this.close();
    this.#target.onFailure(asStatus(thrown));
  }
}

/** How a call ends for which the server has no memory left. */
export function noRoom(): GrpcStatusError {
  return GrpcStatusError.of("RESOURCE_EXHAUSTED", "the server holds as many bytes of requests as it may");
}

function asStatus(thrown: unknown): GrpcStatusError {
  if (thrown instanceof GrpcStatusError) return thrown;
  if (thrown instanceof MessageError) {
    const name = thrown.kind === "too-large" ? "RESOURCE_EXHAUSTED" : "INTERNAL";
    return GrpcStatusError.of(name, thrown.message, { cause: thrown });
  }
  return GrpcStatusError.of("INTERNAL", "a request message cannot be read", { cause: thrown });
}
