import type { WireMap, WireValue } from "../request.ts";

const firstCapacityBytes = 512;

/**
 * Writes MessagePack (the format's specification at msgpack.org), each value in its shortest form, as vLLM's own encoder
 * does. Numbers that are integers become integers, which vLLM takes for floats too.
 */
export class MessagePackWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(firstCapacityBytes);
  #size = 0;

  /** The bytes so far; the writer begins again. */
  take(): Uint8Array {
    const bytes = new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset, this.#size);
    this.#buffer = Buffer.allocUnsafeSlow(firstCapacityBytes);
    this.#size = 0;
    return bytes;
  }

  value(value: WireValue): void {
    if (value === undefined || value === null) this.nil();
    else if (typeof value === "string") this.string(value);
    else if (typeof value === "number") this.number(value);
    else if (typeof value === "boolean") this.#byte(value ? 0xc3 : 0xc2);
    else if (typeof value === "bigint") this.#bigint(value);
    else if (value instanceof Uint32Array) this.integers(value);
    else if (value instanceof Uint8Array) this.#binary(value);
    else if (value instanceof Map) this.#map([...value]);
    else if (isArray(value)) this.#array(value);
    else this.#map(Object.entries(value as WireMap));
  }

  nil(): void {
    this.#byte(0xc0);
  }

  number(value: number): void {
    if (Number.isSafeInteger(value)) this.#integer(value);
    else this.#float(value);
  }

  /** A number that must not look like an integer: a time. */
  float(value: number): void {
    this.#float(value);
  }

  string(text: string): void {
    // Three bytes are the most that UTF-8 needs for one UTF-16 unit.
    this.#need(5 + text.length * 3);
    const bytes = Buffer.byteLength(text);
    if (bytes < 32) this.#byte(0xa0 | bytes);
    else if (bytes < 0x100) this.#head8(0xd9, bytes);
    else if (bytes < 0x1_0000) this.#head16(0xda, bytes);
    else this.#head32(0xdb, bytes);
    this.#size += this.#buffer.write(text, this.#size, "utf8");
  }

  arrayHeader(length: number): void {
    if (length < 16) this.#byte(0x90 | length);
    else if (length < 0x1_0000) this.#head16(0xdc, length);
    else this.#head32(0xdd, length);
  }

  mapHeader(length: number): void {
    if (length < 16) this.#byte(0x80 | length);
    else if (length < 0x1_0000) this.#head16(0xde, length);
    else this.#head32(0xdf, length);
  }

  integers(values: readonly number[] | Uint32Array): void {
    this.arrayHeader(values.length);
    for (const value of values) this.number(value);
  }

  /** vLLM's own kind of extension for raw bytes of a tensor. */
  extension(type: number, bytes: Uint8Array): void {
    const { length } = bytes;
    if (length < 0x100) this.#head8(0xc7, length);
    else if (length < 0x1_0000) this.#head16(0xc8, length);
    else this.#head32(0xc9, length);
    this.#byte(type);
    this.#bytes(bytes);
  }

  #array(values: readonly WireValue[]): void {
    this.arrayHeader(values.length);
    for (const value of values) this.value(value);
  }

  /** Without the keys that say nothing: nil is no default, and where vLLM wants a number it leaves the engine deaf. */
  #map(entries: readonly (readonly [number | string, WireValue])[]): void {
    const said = entries.filter(([, value]) => value !== undefined);
    this.mapHeader(said.length);
    for (const [key, value] of said) {
      this.value(key);
      this.value(value);
    }
  }

  #binary(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length < 0x100) this.#head8(0xc4, length);
    else if (length < 0x1_0000) this.#head16(0xc5, length);
    else this.#head32(0xc6, length);
    this.#bytes(bytes);
  }

  #integer(value: number): void {
    if (value >= 0) {
      if (value < 0x80) this.#byte(value);
      else if (value < 0x100) this.#head8(0xcc, value);
      else if (value < 0x1_0000) this.#head16(0xcd, value);
      else if (value < 0x1_0000_0000) this.#head32(0xce, value);
      else this.#bigint(BigInt(value));
    } else if (value >= -0x20) this.#byte(value & 0xff);
    else if (value >= -0x80) this.#head8(0xd0, value & 0xff);
    else if (value >= -0x8000) this.#head16(0xd1, value & 0xffff);
    else if (value >= -0x8000_0000) this.#head32(0xd2, value >>> 0);
    else this.#bigint(BigInt(value));
  }

  #bigint(value: bigint): void {
    this.#need(9);
    if (value < 0n) {
      this.#byte(0xd3);
      this.#size = this.#buffer.writeBigInt64BE(value, this.#size);
    } else {
      this.#byte(0xcf);
      this.#size = this.#buffer.writeBigUInt64BE(value, this.#size);
    }
  }

  #float(value: number): void {
    this.#need(9);
    this.#byte(0xcb);
    this.#size = this.#buffer.writeDoubleBE(value, this.#size);
  }

  #byte(value: number): void {
    this.#need(1);
    this.#buffer[this.#size++] = value;
  }

  #head8(type: number, value: number): void {
    this.#need(2);
    this.#buffer[this.#size++] = type;
    this.#buffer[this.#size++] = value;
  }

  #head16(type: number, value: number): void {
    this.#need(3);
    this.#buffer[this.#size++] = type;
    this.#size = this.#buffer.writeUInt16BE(value, this.#size);
  }

  #head32(type: number, value: number): void {
    this.#need(5);
    this.#buffer[this.#size++] = type;
    this.#size = this.#buffer.writeUInt32BE(value, this.#size);
  }

  #bytes(bytes: Uint8Array): void {
    this.#need(bytes.length);
    this.#buffer.set(bytes, this.#size);
    this.#size += bytes.length;
  }

  #need(bytes: number): void {
    const wanted = this.#size + bytes;
    if (wanted <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#size);
    this.#buffer = grown;
  }
}

function isArray(value: object): value is readonly WireValue[] {
  return Array.isArray(value);
}

/** One value as bytes. */
export function encodeMessagePack(value: WireValue): Uint8Array {
  const writer = new MessagePackWriter();
  writer.value(value);
  return writer.take();
}
