/** Longer strings are made by native code, whose call costs as much as so many characters (bench/transport, go100). */
const maxShortBytes = 12;

/** The bytes from `start` to `end` as a string of one character per byte. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= maxShortBytes) return short(bytes, start, end);
  // What comes from a socket is a Buffer, and a view of it costs more than the string.
  if (bytes instanceof Buffer) return bytes.toString("latin1", start, end);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

function short(bytes: Uint8Array, start: number, end: number): string {
  const byte = (at: number): number => bytes[at] as number;
  let text = "";
  let at = start;
  if (end - at >= 8) {
    text = String.fromCharCode(
      byte(at),
      byte(at + 1),
      byte(at + 2),
      byte(at + 3),
      byte(at + 4),
      byte(at + 5),
      byte(at + 6),
      byte(at + 7),
    );
    at += 8;
  }
  if (end - at >= 4) {
    text += String.fromCharCode(byte(at), byte(at + 1), byte(at + 2), byte(at + 3));
    at += 4;
  }
  for (; at < end; at += 1) text += String.fromCharCode(byte(at));
  return text;
}
