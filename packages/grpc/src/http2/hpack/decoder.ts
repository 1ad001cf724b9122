import { DynamicTable, entryOverheadBytes } from "./dynamic-table.ts";
import { HpackError } from "./hpack-error.ts";
import { decodeHuffman } from "./huffman.ts";
import { latin1 } from "./latin1.ts";
import { firstDynamicIndex, staticTable } from "./static-table.ts";

/** A decoded field block. */
export interface FieldList {
  /** Names and values by turns, one character per byte. Empty when the list was larger than the bound. */
  readonly fields: string[];
  /** Size as SETTINGS_MAX_HEADER_LIST_SIZE counts it: names, values and 32 for each field. */
  readonly bytes: number;
}

/**
 * Decodes the field blocks of one direction of a connection (RFC 7541). The table lives on between blocks, so every
 * block has to pass through here, also one whose stream nobody cares for any more.
 */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #largestTableBytes: number;
  #bytes: Uint8Array = new Uint8Array();
  #at = 0;
  #end = 0;

  /** `tableBytes` is what our SETTINGS allow the peer's encoder; default 4,096, the protocol's own. */
  constructor(tableBytes = 4096) {
    this.#table = new DynamicTable(tableBytes);
    this.#largestTableBytes = tableBytes;
  }

  /** Changes whenever the same bytes may decode to something else. */
  get generation(): number {
    return this.#table.generation;
  }

  /** Bytes that the table holds by the protocol's count. */
  get tableBytes(): number {
    return this.#table.bytes;
  }

  /**
   * Decodes one whole block. Past `maxListBytes` fields are counted and no longer kept. Throws {@link HpackError}.
   */
  decode(bytes: Uint8Array, start: number, end: number, maxListBytes: number): FieldList {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    const fields: string[] = [];
    let size = 0;
    let first = true;
    while (this.#at < end) {
      const byte = bytes[this.#at] as number;
      if ((byte & 0xe0) === 0x20) {
        if (!first) throw new HpackError("a table size update stands behind a field");
        this.#resize(this.#integer(5));
        continue;
      }
      first = false;
      let name: string;
      let value: string;
      if ((byte & 0x80) !== 0) {
        const index = this.#integer(7);
        name = this.#nameAt(index);
        value = this.#valueAt(index);
      } else {
        const kept = (byte & 0x40) !== 0;
        const index = this.#integer(kept ? 6 : 4);
        name = index === 0 ? this.#string() : this.#nameAt(index);
        value = this.#string();
        if (kept) this.#table.add(name, value);
      }
      size += name.length + value.length + entryOverheadBytes;
      if (size <= maxListBytes) fields.push(name, value);
    }
    if (size > maxListBytes) fields.length = 0;
    this.#bytes = nothing;
    return { fields, bytes: size };
  }

  #resize(tableBytes: number): void {
    if (tableBytes > this.#largestTableBytes) {
      throw new HpackError(`a table of ${tableBytes} bytes is larger than the ${this.#largestTableBytes} allowed`);
    }
    this.#table.resize(tableBytes);
  }

  #nameAt(index: number): string {
    if (index < firstDynamicIndex) {
      const entry = staticTable[index - 1];
      if (entry === undefined) throw new HpackError("index 0 names no field");
      return entry[0];
    }
    return this.#table.name(this.#place(index));
  }

  #valueAt(index: number): string {
    if (index < firstDynamicIndex) return (staticTable[index - 1] as readonly [string, string])[1];
    return this.#table.value(this.#place(index));
  }

  #place(index: number): number {
    const place = index - firstDynamicIndex;
    if (place >= this.#table.count) throw new HpackError(`index ${index} is behind the end of the table`);
    return place;
  }

  #integer(prefixBits: number): number {
    const largest = (1 << prefixBits) - 1;
    let value = (this.#bytes[this.#at] as number) & largest;
    this.#at += 1;
    if (value < largest) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end) throw new HpackError("the block ends within an integer");
      // Four bytes carry 2^28, more than any block of ours may have; a longer one is an attack or a mistake.
      if (shift > 21) throw new HpackError("an integer is longer than any that can be meant");
      const byte = this.#bytes[this.#at] as number;
      this.#at += 1;
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
  }

  #string(): string {
    if (this.#at >= this.#end) throw new HpackError("the block ends before a string");
    const coded = ((this.#bytes[this.#at] as number) & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw new HpackError("the block ends within a string");
    this.#at = end;
    return coded ? decodeHuffman(this.#bytes, start, end) : latin1(this.#bytes, start, end);
  }
}

const nothing = new Uint8Array();
