/** What each entry costs beside its name and value (RFC 7541 section 4.1). */
export const entryOverheadBytes = 32;

/**
 * The table that both sides of a connection keep alike (RFC 7541 section 2.3.2): newest entry first, oldest evicted
 * when the size passes the maximum. Strings have one character per byte.
 */
export class DynamicTable {
  #names: string[];
  #values: string[];
  /** Ring position of the newest entry; the capacity is a power of two. */
  #newest = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;
  #generation = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#names = new Array<string>(8).fill("");
    this.#values = new Array<string>(8).fill("");
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Changes whenever an index may mean another entry than before. */
  get generation(): number {
    return this.#generation;
  }

  /** The name at a place, 0 being the newest. The caller has compared the place with {@link count}. */
  name(place: number): string {
    return this.#names[this.#slot(place)] as string;
  }

  /** The value at a place. */
  value(place: number): string {
    return this.#values[this.#slot(place)] as string;
  }

  /** Adds an entry in front. One that is larger than the whole table empties it and is not kept. */
  add(name: string, value: string): void {
    const size = name.length + value.length + entryOverheadBytes;
    this.#generation += 1;
    this.#evictTo(this.#maxBytes - size);
    if (size > this.#maxBytes) return;
    if (this.#count === this.#names.length) this.#grow();
    this.#newest = (this.#newest + 1) & (this.#names.length - 1);
    this.#names[this.#newest] = name;
    this.#values[this.#newest] = value;
    this.#count += 1;
    this.#bytes += size;
  }

  resize(maxBytes: number): void {
    if (maxBytes === this.#maxBytes) return;
    this.#generation += 1;
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  /** Place of the entry with this name and value, or -1; a linear look, so only for tables we fill ourselves. */
  find(name: string, value: string): number {
    for (let place = 0; place < this.#count; place += 1) {
      if (this.name(place) === name && this.value(place) === value) return place;
    }
    return -1;
  }

  /** Place of the newest entry with this name, or -1. */
  findName(name: string): number {
    for (let place = 0; place < this.#count; place += 1) if (this.name(place) === name) return place;
    return -1;
  }

  #slot(place: number): number {
    return (this.#newest - place) & (this.#names.length - 1);
  }

  #evictTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const slot = this.#slot(this.#count - 1);
      this.#bytes -= (this.#names[slot] as string).length + (this.#values[slot] as string).length + entryOverheadBytes;
      this.#names[slot] = "";
      this.#values[slot] = "";
      this.#count -= 1;
    }
  }

  #grow(): void {
    const capacity = this.#names.length * 2;
    const names = new Array<string>(capacity).fill("");
    const values = new Array<string>(capacity).fill("");
    for (let place = 0; place < this.#count; place += 1) {
      names[this.#count - 1 - place] = this.name(place);
      values[this.#count - 1 - place] = this.value(place);
    }
    this.#names = names;
    this.#values = values;
    this.#newest = this.#count - 1;
  }
}
