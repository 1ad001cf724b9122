import { writeUint24 } from "../frame/frame-header.ts";

/** Size of a chunk: four full frames, and what Node hands to the kernel in one piece without trouble. */
export const chunkBytes = 65_536;
/** Chunks kept for reuse by all connections of the process, 4 MiB. */
const maxPooled = 64;
const pool: Buffer[] = [];

/**
 * The one queue of bytes that a connection sends. Frames are written in place into pooled chunks; the driver takes
 * what has come together and gives the chunks back when the kernel has them.
 *
 * A chunk that was taken is still written to behind the part that was taken, so that small answers share chunks.
 */
export class Output {
  /** Where frames are written; only between {@link reserve} and the next call. */
  chunk: Buffer = nothing;
  /** The next byte to write in `chunk`. */
  at = 0;
  #start = 0;
  #full: Buffer[] = [];
  #fullBytes = 0;
  /** Chunks that are full and not taken. */
  #retired: Buffer[] = [];
  /** Chunks whose content was taken and may not be with the kernel yet. */
  #lent: Buffer[] = [];

  /** Bytes written and not yet taken. */
  get unsentBytes(): number {
    return this.#fullBytes + this.at - this.#start;
  }

  /** Free bytes behind `at` in the present chunk. */
  get freeBytes(): number {
    return this.chunk.length - this.at;
  }

  /** Makes sure that `bytes` (at most {@link chunkBytes}) can be written at `at`. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.chunk.length) return;
    this.#retire();
    this.chunk = pool.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
  }

  /** Rewrites the length of a frame that was written at `at` and not taken yet. */
  growFrame(at: number, length: number): void {
    writeUint24(this.chunk, at, length);
  }

  /** Hands over all that was written, in order. The pieces stay untouched until {@link release}. */
  take(): readonly Buffer[] {
    const last = this.at > this.#start ? this.chunk.subarray(this.#start, this.at) : undefined;
    this.#start = this.at;
    // Mostly the one chunk, and nothing else to keep an account of.
    if (this.#retired.length === 0) return last === undefined ? [] : [last];
    const pieces = this.#full;
    if (last !== undefined) pieces.push(last);
    this.#full = [];
    this.#fullBytes = 0;
    this.#lent.push(...this.#retired.splice(0));
    return pieces;
  }

  /** Everything taken is with the kernel: its chunks serve again. */
  release(): void {
    for (const chunk of this.#lent) giveBack(chunk);
    this.#lent.length = 0;
    if (this.chunk !== nothing && this.at === this.#start) {
      giveBack(this.chunk);
      this.chunk = nothing;
      this.at = 0;
      this.#start = 0;
    }
  }

  /** Drops what was not taken and lets the chunks go; what was taken may still be on its way, so nothing is reused. */
  close(): void {
    this.chunk = nothing;
    this.at = 0;
    this.#start = 0;
    this.#full = [];
    this.#fullBytes = 0;
    this.#retired = [];
    this.#lent = [];
  }

  #retire(): void {
    if (this.chunk === nothing) return;
    if (this.at > this.#start) {
      this.#full.push(this.chunk.subarray(this.#start, this.at));
      this.#fullBytes += this.at - this.#start;
    }
    this.#retired.push(this.chunk);
    this.at = 0;
    this.#start = 0;
  }
}

const nothing = Buffer.alloc(0);

function giveBack(chunk: Buffer): void {
  if (pool.length < maxPooled) pool.push(chunk);
}
