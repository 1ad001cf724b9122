import type { Stream } from "./stream.ts";

/** Places at first and at most, powers of two: an idle connection should be small, and a busy one has more than a map's worth. */
const leastPlaces = 16;
const mostPlaces = 256;

/**
 * The open streams of a connection by their numbers. Clients number their streams in a row (RFC 9113 section 5.1.1) and most
 * calls end before many others begin, so a stream has the place of its number in a small ring, and goes into a map only when
 * its place is wanted by a later one. A map alone is a sixth of what a short call costs (bench/transport, m100).
 */
export class OpenStreams {
  #recent: (Stream | undefined)[] = emptyPlaces(leastPlaces);
  readonly #older = new Map<number, Stream>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Stream | undefined {
    const recent = this.#recent[this.#placeOf(id)];
    if (recent !== undefined && recent.id === id) return recent;
    return this.#older.size === 0 ? undefined : this.#older.get(id);
  }

  /** Adds a stream whose number is not in use. */
  add(stream: Stream): void {
    this.#size += 1;
    this.#place(stream);
  }

  remove(id: number): void {
    const place = this.#placeOf(id);
    if (this.#recent[place]?.id === id) this.#recent[place] = undefined;
    else if (!this.#older.delete(id)) return;
    this.#size -= 1;
  }

  clear(): void {
    this.#recent = emptyPlaces(leastPlaces);
    this.#older.clear();
    this.#size = 0;
  }

  /** All of them as they are now, in the order of their numbers, in a list of its own. */
  all(): Stream[] {
    const all = [...this.#older.values()];
    for (const stream of this.#recent) if (stream !== undefined) all.push(stream);
    return all.sort((one, other) => one.id - other.id);
  }

  #place(stream: Stream): void {
    const place = this.#placeOf(stream.id);
    const before = this.#recent[place];
    this.#recent[place] = stream;
    if (before === undefined) return;
    if (this.#recent.length < mostPlaces) this.#grow(before);
    else this.#older.set(before.id, before);
  }

  #grow(displaced: Stream): void {
    const streams = this.#recent;
    this.#recent = emptyPlaces(2 * streams.length);
    for (const stream of streams) if (stream !== undefined) this.#place(stream);
    this.#place(displaced);
  }

  #placeOf(id: number): number {
    return (id >>> 1) & (this.#recent.length - 1);
  }
}

function emptyPlaces(count: number): (Stream | undefined)[] {
  return new Array<Stream | undefined>(count).fill(undefined);
}
