import type { RequestFields } from "./request-fields.ts";

/** So many field blocks are kept for a connection, each at most so long. A client that repeats itself uses one or two. */
const slots = 4;
const maxBlockBytes = 48;
/** Larger field lists are not kept, because a block of indices can stand for very much. */
const maxListBytes = 1024;

interface Known {
  readonly generation: number;
  readonly bytes: Uint8Array;
  readonly request: RequestFields;
}

/**
 * Requests by their field blocks. A block that is all indices into the tables means the same as long as the table stands,
 * so that a client that repeats a request has it decoded and checked once (bench/transport, m10 and m100).
 */
export class KnownRequests {
  readonly #known: (Known | undefined)[] = [];
  /** What was found last: a client that repeats itself most often repeats what it asked just before. */
  #last: Known | undefined;

  /** The request of this block, when it was kept while the decoder's table had this generation. */
  find(bytes: Uint8Array, start: number, end: number, generation: number): RequestFields | undefined {
    const last = this.#last;
    if (last !== undefined && isThis(last, bytes, start, end, generation)) return last.request;
    for (const known of this.#known) {
      if (known === undefined || !isThis(known, bytes, start, end, generation)) continue;
      this.#last = known;
      return known.request;
    }
    return undefined;
  }

  /** Keeps a request that may come again. */
  keep(
    block: { readonly bytes: Uint8Array; readonly start: number; readonly end: number },
    generation: number,
    listBytes: number,
    request: RequestFields,
  ): void {
    const { bytes, start, end } = block;
    if (end - start > maxBlockBytes || listBytes > maxListBytes || !isIndexed(bytes, start, end)) return;
    const stale = this.#known.findIndex((known) => known?.generation !== generation);
    const slot = stale >= 0 ? stale : this.#known.length < slots ? this.#known.length : end % slots;
    this.#known[slot] = { generation, bytes: Uint8Array.prototype.slice.call(bytes, start, end), request };
  }
}

function isThis(known: Known, bytes: Uint8Array, start: number, end: number, generation: number): boolean {
  const block = known.bytes;
  const { length } = block;
  if (known.generation !== generation || length !== end - start) return false;
  for (let at = 0; at < length; at += 1) if (block[at] !== bytes[start + at]) return false;
  return true;
}

/** Whether a block has indices of one byte alone (RFC 7541 section 6.1). */
function isIndexed(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (byte < 0x80 || byte === 0xff) return false;
  }
  return true;
}
