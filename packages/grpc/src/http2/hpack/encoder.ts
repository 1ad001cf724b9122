import { DynamicTable } from "./dynamic-table.ts";
import { encodeHuffman, huffmanBytes } from "./huffman.ts";
import { maxIntegerBytes, writeInteger } from "./integer.ts";
import { firstDynamicIndex, staticNames, staticTable } from "./static-table.ts";

/**
 * How a field is written: `index` puts it into the table, so that it costs one byte from then on; `plain` does not;
 * `never` also forbids whoever passes it on to (RFC 7541 section 7.1.3), for secrets.
 */
export type Indexing = "index" | "plain" | "never";

/** Table size that we use at most, whatever the peer allows. */
const ownTableBytes = 4096;

const staticFields: ReadonlyMap<string, number> = new Map(
  staticTable.map(([name, value], at) => [`${name}\0${value}`, at + 1] as const),
);

/** Encodes the field blocks of one direction of a connection (RFC 7541). Strings have one character per byte. */
export class HpackEncoder {
  readonly #table = new DynamicTable(ownTableBytes);
  /** Size updates still to be told, the lowest first (RFC 7541 section 4.2). */
  #updates: number[] = [];

  /** Changes whenever an encoded block may mean something else than before. */
  get generation(): number {
    return this.#table.generation;
  }

  /** The peer changed SETTINGS_HEADER_TABLE_SIZE; `lowest` is the smallest value it named since. */
  limitTable(lowest: number, last: number): void {
    const low = Math.min(lowest, ownTableBytes);
    const final = Math.min(last, ownTableBytes);
    if (low === this.#table.maxBytes && final === low && this.#updates.length === 0) return;
    const lowestTold = Math.min(low, ...this.#updates);
    this.#table.resize(lowestTold);
    this.#table.resize(final);
    this.#updates = lowestTold === final ? [final] : [lowestTold, final];
  }

  /** Bytes that {@link encode} needs at most for these fields. */
  maxBytes(fields: readonly string[]): number {
    let bytes = 2 * maxIntegerBytes;
    for (let i = 0; i < fields.length; i += 2) {
      bytes += (fields[i] as string).length + (fields[i + 1] as string).length + 3 * maxIntegerBytes;
    }
    return bytes;
  }

  /** Writes size updates that are due; they stand in front of a block's first field. */
  encodeUpdates(out: Uint8Array, at: number): number {
    let end = at;
    for (const update of this.#updates) end = writeInteger(out, end, update, 5, 0x20);
    this.#updates.length = 0;
    return end;
  }

  /** Writes one field and answers where the next byte goes. Names are lower case. */
  encode(out: Uint8Array, at: number, name: string, value: string, indexing: Indexing): number {
    if (indexing !== "never") {
      const index = this.#indexOf(name, value);
      if (index > 0) return writeInteger(out, at, index, 7, 0x80);
    }
    const nameIndex = this.#indexOfName(name);
    const kept = indexing === "index";
    const pattern = kept ? 0x40 : indexing === "never" ? 0x10 : 0;
    let end = writeInteger(out, at, nameIndex, kept ? 6 : 4, pattern);
    if (nameIndex === 0) end = writeString(out, end, name, kept);
    end = writeString(out, end, value, kept);
    if (kept) this.#table.add(name, value);
    return end;
  }

  #indexOf(name: string, value: string): number {
    const fixed = staticFields.get(`${name}\0${value}`);
    if (fixed !== undefined) return fixed;
    const place = this.#table.find(name, value);
    return place < 0 ? 0 : firstDynamicIndex + place;
  }

  #indexOfName(name: string): number {
    const fixed = staticNames.get(name);
    if (fixed !== undefined) return fixed;
    const place = this.#table.findName(name);
    return place < 0 ? 0 : firstDynamicIndex + place;
  }
}

/** Huffman coding is worth its time for what is written once and then indexed, not for what goes out each time. */
function writeString(out: Uint8Array, at: number, text: string, writtenOnce: boolean): number {
  if (writtenOnce) {
    const coded = huffmanBytes(text);
    if (coded < text.length) return encodeHuffman(out, writeInteger(out, at, coded, 7, 0x80), text);
  }
  let end = writeInteger(out, at, text.length, 7, 0);
  for (let i = 0; i < text.length; i += 1) {
    out[end] = text.charCodeAt(i);
    end += 1;
  }
  return end;
}
