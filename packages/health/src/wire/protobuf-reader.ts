import { WireError } from "./wire-error.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The wire types of protobuf (protobuf.dev, "Encoding"), those that health messages use. */
export const WireType = { VARINT: 0, LENGTH_DELIMITED: 2 } as const;

/** Deepest nesting of groups that is skipped; protobuf implementations refuse deeper messages too. */
const maxGroupDepth = 100;

/** The key of a field as it stands before its value. */
export interface FieldKey {
  readonly number: number;
  readonly wireType: number;
}

/**
 * Reads protobuf fields one after the other from bytes that come from outside. Every method throws {@link WireError} on
 * malformed bytes and never reads beyond the end.
 */
export class ProtobufReader {
  readonly #bytes: Uint8Array;
  readonly #message: string;
  #position = 0;
  #varintHigh = 0;

  /** `message` is the proto message's name, for errors. */
  constructor(bytes: Uint8Array, message: string) {
    this.#bytes = bytes;
    this.#message = message;
  }

  /** The next field's key, or undefined at the end of the message. */
  nextField(): FieldKey | undefined {
    if (this.#position === this.#bytes.length) return undefined;
    const key = this.#varint();
    const number = key >>> 3;
    if (this.#varintHigh !== 0 || number === 0) throw this.#malformed("a field number is out of range");
    return { number, wireType: key & 7 };
  }

  /** A varint as int32: the low 32 bits, as protobuf defines it for int32 and enum fields. */
  int32(): number {
    return this.#varint() | 0;
  }

  /** A length-delimited value; a view into the message, not a copy. */
  bytes(): Uint8Array {
    const length = this.#varint();
    if (this.#varintHigh !== 0) throw this.#malformed("a length is beyond the end");
    return this.#take(length);
  }

  string(field: string): string {
    const bytes = this.bytes();
    try {
      return utf8.decode(bytes);
    } catch {
      throw new WireError(`${this.#message}.${field}: not valid UTF-8`);
    }
  }

  /** Steps over the value of a field that nobody here knows, groups included. */
  skip(field: FieldKey): void {
    const openGroups: number[] = [];
    let current: FieldKey | undefined = field;
    while (true) {
      if (current === undefined) throw this.#malformed("a group does not end");
      switch (current.wireType) {
        case 0:
          this.#varint();
          break;
        case 1:
          this.#take(8);
          break;
        case 2:
          this.bytes();
          break;
        case 3:
          if (openGroups.length === maxGroupDepth) throw this.#malformed(`groups nest deeper than ${maxGroupDepth}`);
          openGroups.push(current.number);
          break;
        case 4:
          if (openGroups.pop() !== current.number) throw this.#malformed("a group ends that did not begin");
          break;
        case 5:
          this.#take(4);
          break;
        default:
          throw this.#malformed(`wire type ${current.wireType} does not exist`);
      }
      if (openGroups.length === 0) return;
      current = this.nextField();
    }
  }

  // Answers the low 32 bits and leaves the high ones in #varintHigh.
  #varint(): number {
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index += 1) {
      const byte = this.#bytes[this.#position];
      if (byte === undefined) throw this.#malformed("it ends inside a number");
      this.#position += 1;
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else {
        if (index === 9 && bits > 1) break;
        high |= bits << (7 * index - 32);
      }
      if (byte < 0x80) {
        this.#varintHigh = high >>> 0;
        return low >>> 0;
      }
    }
    throw this.#malformed("a number is longer than 64 bits");
  }

  #take(length: number): Uint8Array {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw this.#malformed("a length is beyond the end");
    const bytes = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return bytes;
  }

  #malformed(fault: string): WireError {
    return new WireError(`${this.#message}: malformed at byte ${this.#position}: ${fault}`);
  }
}
