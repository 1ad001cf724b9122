/** A frame as it stands in the bytes of one direction. */
export interface WalkedFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Uint8Array;
}

/**
 * Cuts bytes into frames (RFC 9113 section 4.1). Written apart from the server's own reader, so that neither hides a
 * mistake of the other. What is left at the end is `rest`.
 */
export function walkFrames(bytes: Uint8Array): { readonly frames: WalkedFrame[]; readonly rest: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: WalkedFrame[] = [];
  let at = 0;
  while (at + 9 <= bytes.length) {
    const end = at + 9 + (view.getUint32(at) >>> 8);
    if (end > bytes.length) break;
    frames.push({
      type: view.getUint8(at + 3),
      flags: view.getUint8(at + 4),
      streamId: view.getUint32(at + 5) % 2 ** 31,
      payload: bytes.subarray(at + 9, end),
    });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}
