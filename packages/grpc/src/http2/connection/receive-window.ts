import { maxInt31 } from "../frame/frame-header.ts";
import { Http2Error } from "../http2-error.ts";

/** At least: the connection's window must not be what holds one large request back. */
const leastBytes = 1024 * 1024;

/** What a client may still send on the whole connection (RFC 9113 section 5.2.1). */
export class ReceiveWindow {
  #leftBytes: number;
  #targetBytes: number;
  #uncreditedBytes = 0;

  constructor(streamWindowBytes: number) {
    this.#targetBytes = Math.max(leastBytes, streamWindowBytes);
    this.#leftBytes = this.#targetBytes;
  }

  get targetBytes(): number {
    return this.#targetBytes;
  }

  /**
   * Counts what came, and answers how much credit to give: all of it at once, so that one slow stream does not hold up
   * the others, but not before half of the window is used. Throws when the client sent more than it may.
   */
  received(bytes: number, streamWindowBytes: number): number {
    this.#leftBytes -= bytes;
    if (this.#leftBytes < 0) throw new Http2Error("FLOW_CONTROL_ERROR", "more DATA than the connection's window");
    this.#uncreditedBytes += bytes;
    if (this.#uncreditedBytes * 2 < this.#targetBytes) return 0;
    const target = Math.max(this.#targetBytes, Math.min(2 * streamWindowBytes, maxInt31));
    const credit = this.#uncreditedBytes + target - this.#targetBytes;
    this.#targetBytes = target;
    this.#uncreditedBytes = 0;
    this.#leftBytes += credit;
    return credit;
  }
}
