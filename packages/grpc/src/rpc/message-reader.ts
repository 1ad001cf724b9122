import { readUint32 } from "../http2/frame/frame-header.ts";
import { messagePrefixBytes } from "../http2/frame/message-prefix.ts";

const leastHeldBytes = 1024;

/** One message as it stands on the wire. */
export interface WireMessage {
  readonly compressed: boolean;
  /** A view; its bytes are never written again, so it may be kept. */
  readonly bytes: Uint8Array;
}

/** Why the bytes are no messages. */
export class MessageError extends Error {
  override readonly name = "MessageError";
  readonly kind: "too-large" | "malformed";

  constructor(kind: "too-large" | "malformed", message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * Cuts a request's content into messages. What lies whole in the bytes that came is not copied; the rest is held in a
 * buffer that grows with what came, never with what a prefix promises.
 */
export class MessageReader {
  readonly #maxBytes: number;
  #bytes: Uint8Array = nothing;
  #at = 0;
  #end = 0;
  /** The bytes are a buffer of ours, to which more can be added. */
  #owned = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that came and were not read. */
  get unreadBytes(): number {
    return this.#end - this.#at;
  }

  /** Size of the buffer held. */
  get heldBytes(): number {
    return this.#owned ? this.#bytes.length : 0;
  }

  /** Takes more content. Read what is whole with {@link next}, then call {@link hold} before these bytes go. */
  feed(bytes: Uint8Array, start: number, end: number): void {
    if (this.#at === this.#end) {
      this.#bytes = bytes;
      this.#at = start;
      this.#end = end;
      this.#owned = false;
      return;
    }
    this.#ensure(end - start);
    this.#bytes.set(bytes.subarray(start, end), this.#end);
    this.#end += end - start;
  }

  /** The next whole message, or undefined. Throws {@link MessageError}. */
  next(): WireMessage | undefined {
    if (this.unreadBytes < messagePrefixBytes) return undefined;
    const flag = this.#bytes[this.#at] as number;
    if (flag > 1) throw new MessageError("malformed", `a message begins with ${flag} and not with 0 or 1`);
    const length = readUint32(this.#bytes, this.#at + 1);
    if (length > this.#maxBytes) {
      throw new MessageError("too-large", `a message has ${length} bytes, more than the ${this.#maxBytes} allowed`);
    }
    const start = this.#at + messagePrefixBytes;
    const end = start + length;
    if (end > this.#end) return undefined;
    this.#at = end;
    const message = { compressed: flag === 1, bytes: this.#bytes.subarray(start, end) };
    if (this.#at === this.#end) this.#letGo();
    return message;
  }

  /** Keeps what is unread in a buffer of its own, so that what was read with it can go. */
  hold(): void {
    if (!this.#owned && this.#at < this.#end) this.#ensure(0);
  }

  #ensure(more: number): void {
    if (this.#owned && this.#end + more <= this.#bytes.length) return;
    const unread = this.unreadBytes;
    const needed = unread + more;
    // Never in place: messages that were read may be views of what is in front.
    const grown = Buffer.alloc(Math.max(leastHeldBytes, needed, Math.min(2 * needed, this.#promised(unread))));
    grown.set(this.#bytes.subarray(this.#at, this.#end));
    this.#bytes = grown;
    this.#at = 0;
    this.#end = unread;
    this.#owned = true;
  }

  /** Whole length of the message that begins here, as far as it is known. */
  #promised(unread: number): number {
    return unread < messagePrefixBytes ? 0 : messagePrefixBytes + readUint32(this.#bytes, this.#at + 1);
  }

  #letGo(): void {
    this.#bytes = nothing;
    this.#at = 0;
    this.#end = 0;
    this.#owned = false;
  }
}

const nothing = Buffer.alloc(0);
