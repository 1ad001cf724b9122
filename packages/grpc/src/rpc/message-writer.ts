/**
 * Where an encoder writes a message without a buffer of its own. It calls {@link reserve} and then writes up to so many
 * bytes into `bytes` from `at` on, and moves `at`. Only for the length of one call.
 */
export interface MessageWriter {
  /** The buffer to write in. Another one after {@link reserve} when it was too small. */
  readonly bytes: Uint8Array;
  /** The next byte to write. */
  at: number;
  /** Makes sure that `size` bytes may be written at `at`. */
  reserve(size: number): void;
}

/** A writer over a piece of the output that moves into a buffer of its own when the piece is too small. */
export class OutputWriter implements MessageWriter {
  bytes: Uint8Array = Buffer.alloc(0);
  at = 0;
  #start = 0;
  #inPlace = false;

  /** Begins a message at a place in the output, which is free up to the buffer's end. */
  open(bytes: Uint8Array, at: number): void {
    this.bytes = bytes;
    this.at = at;
    this.#start = at;
    this.#inPlace = true;
  }

  /** Begins a message in a buffer of its own. */
  openOwn(): void {
    this.open(Buffer.alloc(256), 0);
    this.#inPlace = false;
  }

  /** True while the message lies where it was begun. */
  get inPlace(): boolean {
    return this.#inPlace;
  }

  /** How many bytes were written. */
  get length(): number {
    return this.at - this.#start;
  }

  /** What was written, as a view. */
  get written(): Uint8Array {
    return this.bytes.subarray(this.#start, this.at);
  }

  reserve(size: number): void {
    if (this.at + size <= this.bytes.length) return;
    const { length } = this;
    const grown = Buffer.alloc(Math.max(1024, 2 * (length + size)));
    grown.set(this.written);
    this.bytes = grown;
    this.at = length;
    this.#start = 0;
    this.#inPlace = false;
  }
}
