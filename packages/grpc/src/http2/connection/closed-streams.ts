/** How a stream of the past came to its end, as far as that is still known. */
export type ClosedHow = "by-us" | "by-peer" | "forgotten";

/** A power of two. */
const remembered = 256;

/**
 * The streams that ended last. Frames for a stream that we reset may still be on their way and are passed over; frames
 * for one that the peer itself ended are its mistake (RFC 9113 section 5.1, "closed").
 */
export class ClosedStreams {
  /** Stream numbers, negative when it was us. */
  readonly #ids = new Int32Array(remembered);
  #next = 0;

  add(streamId: number, byUs: boolean): void {
    this.#ids[this.#next] = byUs ? -streamId : streamId;
    this.#next = (this.#next + 1) & (remembered - 1);
  }

  how(streamId: number): ClosedHow {
    if (this.#ids.includes(-streamId)) return "by-us";
    return this.#ids.includes(streamId) ? "by-peer" : "forgotten";
  }
}
