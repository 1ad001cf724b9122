import type { FixedFields } from "./fixed-fields.ts";

/** The end of an answer: trailers, or none. */
export type Ending = { readonly fixed: FixedFields; readonly extra: readonly string[] } | "bare";

/**
 * What a stream has waiting: content for a window or for its turn, an end behind that content, and its place among the streams
 * that take turns. Made when a stream first keeps content or has to wait; most never do, and a paced stream that is not in the processor's
 * cache is the cheaper the smaller it is (bench/transport, p256).
 */
export class Waiting {
  /** Bytes of content. */
  bytes = 0;
  /** What comes behind the content. */
  ending: Ending | undefined;
  /** A write answered false, so the handler waits to be called. */
  wantsRoom = false;
  /** Stands in the queue of streams that take turns. */
  queued = false;
  #pieces: Uint8Array[] = [];
  /** How much of the first piece is gone. */
  #offset = 0;
  #turn = 0;
  #turnBytes = 0;

  /** Keeps content. The bytes stay as they are until they are moved. */
  keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.bytes += piece.length;
  }

  /** Moves the first `length` bytes, of which there are as many, to `out` at `start`. */
  moveInto(out: Uint8Array, start: number, length: number): void {
    const pieces = this.#pieces;
    const end = start + length;
    let used = 0;
    for (let at = start; at < end; ) {
      const piece = pieces[used] as Uint8Array;
      const taken = Math.min(end - at, piece.length - this.#offset);
      out.set(piece.subarray(this.#offset, this.#offset + taken), at);
      at += taken;
      this.#offset += taken;
      if (this.#offset === piece.length) {
        used += 1;
        this.#offset = 0;
      }
    }
    if (used > 0) pieces.splice(0, used);
    this.bytes -= length;
  }

  /** Forgets the content and the end behind it. */
  drop(): void {
    this.#pieces = [];
    this.#offset = 0;
    this.bytes = 0;
    this.ending = undefined;
  }

  /** The stream wrote so much in this turn while others waited. */
  count(turn: number, bytes: number): void {
    this.#turnBytes = bytes + this.writtenIn(turn);
    this.#turn = turn;
  }

  /** What the stream wrote in this turn while others waited. */
  writtenIn(turn: number): number {
    return this.#turn === turn ? this.#turnBytes : 0;
  }
}
