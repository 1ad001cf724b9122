import { badFrame } from "../../engine-core-error.ts";

/** Bytes of a type of our own; only the type that carries a tensor's bytes is ever let through. */
export class Extension {
  readonly type: number;
  readonly bytes: Uint8Array;

  constructor(type: number, bytes: Uint8Array) {
    this.type = type;
    this.bytes = bytes;
  }
}

/** vLLM's extension for raw bytes (vllm/v1/serial_utils.py, CUSTOM_TYPE_RAW_VIEW). 1 and 2 are pickles: never read. */
export const rawBytesExtension = 3;

/** What a value read without a schema can be. Maps have their keys as they came. */
export type Decoded =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | Extension
  | readonly Decoded[]
  | ReadonlyMap<Decoded, Decoded>;

/** Nesting beyond what any struct of the wire has. */
const maxDepth = 32;

/**
 * Reads MessagePack from one frame. Every length is held against the bytes that are left before anything is made of it, so
 * a frame cannot claim more memory than it brings. Every method throws a `bad-frame` error and never anything else.
 */
export class MessagePackReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(frame: Uint8Array) {
    this.#bytes = Buffer.isBuffer(frame) ? frame : Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  }

  /** Where the next value begins. */
  get offset(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The byte that the next value begins with; undefined at the end. */
  get head(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The bytes between two offsets, not copied. */
  slice(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(from, to);
  }

  /** True when the next value is nil, which is then read. */
  nil(): boolean {
    if (this.#bytes[this.#at] !== 0xc0) return false;
    this.#at += 1;
    return true;
  }

  /** The length of an array whose values come next. */
  arrayHeader(what: string): number {
    const head = this.#byte();
    let length: number;
    if (head >= 0x90 && head <= 0x9f) length = head & 0x0f;
    else if (head === 0xdc) length = this.#uint(2);
    else if (head === 0xdd) length = this.#uint(4);
    else throw this.#unexpected(what, "an array", head);
    // Each value takes a byte at least.
    return this.#fits(length, what);
  }

  /** The number of pairs of a map that come next. */
  mapHeader(what: string): number {
    const head = this.#byte();
    let length: number;
    if (head >= 0x80 && head <= 0x8f) length = head & 0x0f;
    else if (head === 0xde) length = this.#uint(2);
    else if (head === 0xdf) length = this.#uint(4);
    else throw this.#unexpected(what, "a map", head);
    return this.#fits(length * 2, what) / 2;
  }

  string(what: string): string {
    const head = this.#byte();
    let length: number;
    if (head >= 0xa0 && head <= 0xbf) length = head & 0x1f;
    else if (head === 0xd9) length = this.#uint(1);
    else if (head === 0xda) length = this.#uint(2);
    else if (head === 0xdb) length = this.#uint(4);
    else throw this.#unexpected(what, "a string", head);
    const start = this.#at;
    this.#at += this.#fits(length, what);
    return shortText(this.#bytes, start, this.#at);
  }

  /** An integer of any width; beyond 2^53 it is rounded. */
  integer(what: string): number {
    const head = this.#byte();
    if (head < 0x80) return head;
    if (head >= 0xe0) return head - 0x100;
    const value = this.#wideInteger(head);
    if (value === undefined) throw this.#unexpected(what, "an integer", head);
    return value;
  }

  /** The 64 bits of an integer of any width, exactly. */
  integer64(what: string): bigint {
    if (this.head !== 0xcf && this.head !== 0xd3) return BigInt.asIntN(64, BigInt(this.integer(what)));
    this.#at += 1;
    return this.#bytes.readBigInt64BE(this.#advance(8));
  }

  /** Bytes, not copied. */
  bytes(what: string): Uint8Array {
    const head = this.#byte();
    if (head < 0xc4 || head > 0xc6) throw this.#unexpected(what, "bytes", head);
    const length = this.#fits(this.#uint(1 << (head - 0xc4)), what);
    return this.slice(this.#at, this.#advance(length) + length);
  }

  /** Appends the integers of an array. */
  integers(what: string): number[] {
    const length = this.arrayHeader(what);
    // The usual step adds one token to a request.
    if (length === 1) return [this.integer(what)];
    const values: number[] = new Array(length);
    for (let index = 0; index < length; index++) values[index] = this.integer(what);
    return values;
  }

  /** Any value. */
  value(depth = 0): Decoded {
    if (depth > maxDepth) throw badFrame(`a value is nested more than ${maxDepth} deep`);
    const at = this.#at;
    const head = this.#byte();
    if (head < 0x80) return head;
    if (head >= 0xe0) return head - 0x100;
    if (head === 0xc0) return null;
    if (head === 0xc2) return false;
    if (head === 0xc3) return true;
    if (head === 0xca) return this.#bytes.readFloatBE(this.#advance(4));
    if (head === 0xcb) return this.#bytes.readDoubleBE(this.#advance(8));
    const integer = this.#wideInteger(head);
    if (integer !== undefined) return integer;
    this.#at = at;
    if (isString(head)) return this.string("a value");
    if (isArray(head)) {
      const length = this.arrayHeader("a value");
      const values: Decoded[] = [];
      for (let index = 0; index < length; index++) values.push(this.value(depth + 1));
      return values;
    }
    if (isMap(head)) {
      const length = this.mapHeader("a value");
      const values = new Map<Decoded, Decoded>();
      for (let index = 0; index < length; index++) values.set(this.value(depth + 1), this.value(depth + 1));
      return values;
    }
    this.#at += 1;
    if (head >= 0xc4 && head <= 0xc6) {
      const length = this.#fits(this.#uint(1 << (head - 0xc4)), "bytes");
      return this.slice(this.#at, this.#advance(length) + length);
    }
    return this.#extension(head);
  }

  /** Passes over a value, without reading what is in it. Extensions of any type may be passed over. */
  skip(): void {
    // The values still to pass; nested ones are added, so depth costs nothing.
    let left = 1;
    while (left > 0) {
      left -= 1;
      const head = this.#byte();
      if (head < 0x80 || head >= 0xe0 || head === 0xc0 || head === 0xc2 || head === 0xc3) continue;
      if (head <= 0x8f) left += (head & 0x0f) * 2;
      else if (head <= 0x9f) left += head & 0x0f;
      else if (head <= 0xbf) this.#advance(head & 0x1f);
      else left += this.#skipLong(head);
    }
  }

  #skipLong(head: number): number {
    switch (head) {
      case 0xc4:
      case 0xd9:
        this.#advance(this.#uint(1));
        return 0;
      case 0xc5:
      case 0xda:
        this.#advance(this.#uint(2));
        return 0;
      case 0xc6:
      case 0xdb:
        this.#advance(this.#uint(4));
        return 0;
      case 0xc7:
      case 0xc8:
      case 0xc9:
        this.#advance(this.#uint(1 << (head - 0xc7)) + 1);
        return 0;
      case 0xca:
      case 0xce:
      case 0xd2:
        this.#advance(4);
        return 0;
      case 0xcb:
      case 0xcf:
      case 0xd3:
        this.#advance(8);
        return 0;
      case 0xcc:
      case 0xd0:
        this.#advance(1);
        return 0;
      case 0xcd:
      case 0xd1:
        this.#advance(2);
        return 0;
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        this.#advance((1 << (head - 0xd4)) + 1);
        return 0;
      case 0xdc:
        return this.#fits(this.#uint(2), "an array");
      case 0xdd:
        return this.#fits(this.#uint(4), "an array");
      case 0xde:
        return this.#fits(this.#uint(2) * 2, "a map");
      case 0xdf:
        return this.#fits(this.#uint(4) * 2, "a map");
      default:
        throw this.#unexpected("a value", "a value", head);
    }
  }

  #extension(head: number): Extension {
    let length: number;
    if (head >= 0xc7 && head <= 0xc9) length = this.#uint(1 << (head - 0xc7));
    else if (head >= 0xd4 && head <= 0xd8) length = 1 << (head - 0xd4);
    else throw this.#unexpected("a value", "a value", head);
    const type = this.#byte();
    if (type !== rawBytesExtension) {
      throw badFrame(`an extension of type ${type} is not read (1 and 2 are pickles, which could run anything)`);
    }
    const start = this.#advance(length);
    return new Extension(type, this.slice(start, start + length));
  }

  #wideInteger(head: number): number | undefined {
    switch (head) {
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return Number(this.#bytes.readBigUInt64BE(this.#advance(8)));
      case 0xd0:
        return this.#bytes.readInt8(this.#advance(1));
      case 0xd1:
        return this.#bytes.readInt16BE(this.#advance(2));
      case 0xd2:
        return this.#bytes.readInt32BE(this.#advance(4));
      case 0xd3:
        return Number(this.#bytes.readBigInt64BE(this.#advance(8)));
      default:
        return undefined;
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined)
      throw badFrame(`the frame ends after ${this.#bytes.length} bytes, in the middle of a value`);
    this.#at += 1;
    return byte;
  }

  #uint(bytes: number): number {
    const at = this.#advance(bytes);
    return this.#bytes.readUIntBE(at, bytes);
  }

  /** Steps over bytes that must be there; answers where they begin. */
  #advance(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#bytes.length - at) {
      throw badFrame(`a value of ${bytes} bytes begins at byte ${at} of a frame of ${this.#bytes.length}`);
    }
    this.#at = at + bytes;
    return at;
  }

  #fits(length: number, what: string): number {
    if (length > this.#bytes.length - this.#at) {
      throw badFrame(`${what} has a length of ${length}, and ${this.#bytes.length - this.#at} bytes are left`);
    }
    return length;
  }

  #unexpected(what: string, wanted: string, head: number): Error {
    return badFrame(`${what} is not ${wanted}: it begins with 0x${head.toString(16).padStart(2, "0")}`);
  }
}

/** One value that fills a frame. */
export function decodeMessagePack(frame: Uint8Array): Decoded {
  const reader = new MessagePackReader(frame);
  const value = reader.value();
  if (!reader.isAtEnd) throw badFrame(`${frame.length - reader.offset} bytes follow the value of a frame`);
  return value;
}

/** A call into the runtime for a short text costs more than its characters do: bench/engine-core. */
function shortText(bytes: Buffer, start: number, end: number): string {
  if (end - start > 24) return bytes.toString("utf8", start, end);
  let text = "";
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte >= 0x80) return bytes.toString("utf8", start, end);
    text += String.fromCharCode(byte);
  }
  return text;
}

function isString(head: number): boolean {
  return (head >= 0xa0 && head <= 0xbf) || (head >= 0xd9 && head <= 0xdb);
}

function isArray(head: number): boolean {
  return (head >= 0x90 && head <= 0x9f) || head === 0xdc || head === 0xdd;
}

function isMap(head: number): boolean {
  return (head >= 0x80 && head <= 0x8f) || head === 0xde || head === 0xdf;
}
