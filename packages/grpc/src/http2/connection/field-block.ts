import { Http2Error } from "../http2-error.ts";

/** A field block that comes in HEADERS and CONTINUATION, put together. */
export class FieldBlock {
  readonly streamId: number;
  /** Of HEADERS. */
  readonly flags: number;
  readonly startedAtMs: number;
  readonly #maxBytes: number;
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(streamId: number, flags: number, startedAtMs: number, maxBytes: number) {
    this.streamId = streamId;
    this.flags = flags;
    this.startedAtMs = startedAtMs;
    this.#maxBytes = maxBytes;
  }

  /** Adds a part, copied, so that it does not keep all that was read with it. Throws when the block is too large. */
  add(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes += end - start;
    checkBlockBytes(this.#bytes, this.#maxBytes);
    if (end > start) this.#parts.push(Uint8Array.prototype.slice.call(bytes, start, end));
  }

  whole(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

export function checkBlockBytes(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) throw new Http2Error("ENHANCE_YOUR_CALM", `a field block has more than ${maxBytes} bytes`);
}
