/**
 * The window grows while a round trip moves at least this part of it. Credit goes out, and the measurement begins, when
 * half of the window is used up, so a client that waits for credit moves the other half in the round trip.
 */
const busyShare = 0.4;

/**
 * Finds out how much a client can send in one round trip, and so how large a window has to be for the path to be the
 * limit and not the window (as grpc-go's bdpEstimator does). A round trip is measured with a PING, and only while a
 * stream sends so much that it needs credit, so that small requests cost nothing.
 */
export class BandwidthEstimate {
  readonly #maxWindowBytes: number;
  #windowBytes: number;
  #sampleBytes = 0;
  #sampling = false;

  constructor(initialWindowBytes: number, maxWindowBytes: number) {
    this.#windowBytes = initialWindowBytes;
    this.#maxWindowBytes = Math.max(initialWindowBytes, maxWindowBytes);
  }

  /** What a stream's window should be now. */
  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** True when a measurement should begin: send a PING, then call {@link begin}. */
  get wantsSample(): boolean {
    return !this.#sampling && this.#windowBytes < this.#maxWindowBytes;
  }

  begin(): void {
    this.#sampling = true;
    this.#sampleBytes = 0;
  }

  received(bytes: number): void {
    if (this.#sampling) this.#sampleBytes += bytes;
  }

  /** The PING's answer came. */
  end(): void {
    if (!this.#sampling) return;
    this.#sampling = false;
    if (this.#sampleBytes >= this.#windowBytes * busyShare) {
      this.#windowBytes = Math.min(this.#maxWindowBytes, this.#windowBytes * 2);
    }
  }
}
