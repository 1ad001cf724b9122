import { codeLengths, codes } from "../src/http2/hpack/huffman-code.ts";
import { staticTable } from "../src/http2/hpack/static-table.ts";

/** What the reference says to bytes that are no field block. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** Codes as texts of 0 and 1: slow, and easy to see through. */
const byCode: ReadonlyMap<string, number> = new Map(
  Array.from(codeLengths, (length, byte) => [(codes[byte] as number).toString(2).padStart(length, "0"), byte] as const),
);

/** Huffman decoding bit by bit (RFC 7541 section 5.2). Throws {@link Refused}. */
export function referenceHuffman(bytes: Uint8Array): string {
  let text = "";
  let code = "";
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      code += (byte >> bit) & 1;
      if (code.length > 30) throw new Refused("no code");
      const found = byCode.get(code);
      if (found === undefined) continue;
      text += String.fromCharCode(found);
      code = "";
    }
  }
  if (code.length > 7 || code.includes("0")) throw new Refused("padding");
  return text;
}

/** Field blocks decoded as RFC 7541 tells it, with an array for a table. */
export class ReferenceHpack {
  #table: (readonly [string, string])[] = [];
  #maxBytes: number;
  readonly #allowedBytes: number;
  #rest: number[] = [];

  constructor(tableBytes: number) {
    this.#maxBytes = tableBytes;
    this.#allowedBytes = tableBytes;
  }

  /** Names and values by turns. Throws {@link Refused}. */
  decode(block: Uint8Array): string[] {
    this.#rest = Array.from(block);
    const fields: string[] = [];
    while (this.#rest.length > 0) {
      const byte = this.#rest[0] as number;
      if (byte >= 0x80) fields.push(...this.#entry(this.#integer(7)));
      else if (byte >= 0x40) {
        const field = this.#literal(6);
        fields.push(...field);
        this.#table.unshift(field);
        this.#evict();
      } else if (byte >= 0x20) {
        const size = this.#integer(5);
        if (fields.length > 0 || size > this.#allowedBytes) throw new Refused("size update");
        this.#maxBytes = size;
        this.#evict();
      } else fields.push(...this.#literal(4));
    }
    return fields;
  }

  #literal(prefixBits: number): readonly [string, string] {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#text() : this.#entry(index)[0];
    return [name, this.#text()];
  }

  #entry(index: number): readonly [string, string] {
    const entry = [...staticTable, ...this.#table][index - 1];
    if (entry === undefined) throw new Refused("index");
    return entry;
  }

  #integer(prefixBits: number): number {
    const mask = 2 ** prefixBits - 1;
    let value = (this.#rest.shift() ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#rest.shift();
      if (byte === undefined) throw new Refused("cut off");
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new Refused("too long");
  }

  #text(): string {
    if (this.#rest.length === 0) throw new Refused("cut off");
    const isCoded = (this.#rest[0] as number) >= 0x80;
    const length = this.#integer(7);
    if (length > this.#rest.length) throw new Refused("cut off");
    const bytes = Uint8Array.from(this.#rest.splice(0, length));
    return isCoded ? referenceHuffman(bytes) : Buffer.from(bytes).toString("latin1");
  }

  #evict(): void {
    while (this.#bytes() > this.#maxBytes) this.#table.pop();
  }

  #bytes(): number {
    return this.#table.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  }
}
