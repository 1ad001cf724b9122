/** The bytes read so far end before the value does. The caller reads more and begins again. */
export class MoreBytesNeeded extends Error {
  override readonly name = "MoreBytesNeeded";
}

/** The bytes are no GGUF header. `message` completes the sentence "<path> cannot be used as a model: …". */
export class GgufFormatError extends Error {
  override readonly name = "GgufFormatError";
}

/**
 * Reads little-endian values one after the other from the beginning of a file of which only a part is in memory.
 * A read beyond the part throws {@link MoreBytesNeeded}; a read beyond the file throws {@link GgufFormatError}, before
 * anything is allocated for it.
 */
export class ByteCursor {
  #position = 0;
  readonly #bytes: Buffer;
  readonly #fileSizeBytes: number;

  constructor(bytes: Buffer, fileSizeBytes: number) {
    this.#bytes = bytes;
    this.#fileSizeBytes = fileSizeBytes;
  }

  get position(): number {
    return this.#position;
  }

  /** Bytes of the whole file that follow. */
  get remainingBytes(): number {
    return this.#fileSizeBytes - this.#position;
  }

  /** Moves on by `length` bytes, all of them in memory, and gives the position where they begin. */
  take(length: number): number {
    const start = this.#position;
    if (length > this.remainingBytes) throw new GgufFormatError("the file ends in the middle of its header");
    if (start + length > this.#bytes.length) throw new MoreBytesNeeded();
    this.#position = start + length;
    return start;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.take(1));
  }
  int8(): number {
    return this.#bytes.readInt8(this.take(1));
  }
  uint16(): number {
    return this.#bytes.readUInt16LE(this.take(2));
  }
  int16(): number {
    return this.#bytes.readInt16LE(this.take(2));
  }
  uint32(): number {
    return this.#bytes.readUInt32LE(this.take(4));
  }
  int32(): number {
    return this.#bytes.readInt32LE(this.take(4));
  }
  float32(): number {
    return this.#bytes.readFloatLE(this.take(4));
  }
  float64(): number {
    return this.#bytes.readDoubleLE(this.take(8));
  }
  uint64(): bigint {
    return this.#bytes.readBigUInt64LE(this.take(8));
  }
  int64(): bigint {
    return this.#bytes.readBigInt64LE(this.take(8));
  }

  /** A 64-bit number that counts something; `what` names it where it is too large to be true. */
  count(what: string): number {
    const value = this.uint64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new GgufFormatError(`its ${what} is ${value}`);
    return Number(value);
  }

  /** Length and UTF-8 bytes of a string. */
  string(what: string, maxBytes: number): string {
    const length = this.count(`length of ${what}`);
    if (length > maxBytes)
      throw new GgufFormatError(`${what} is ${length} bytes long, and at most ${maxBytes} are read`);
    const start = this.take(length);
    return this.#bytes.toString("utf8", start, start + length);
  }

  /** A copy of `length` bytes that begins on a boundary every typed array accepts. */
  copy(length: number): ArrayBuffer {
    const start = this.take(length);
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(start, start + length));
    return copy.buffer;
  }
}
