/** One field of wire type 2: key, length, value. Field numbers 1 to 15 only, whose keys are one byte. */
export function lengthDelimited(fieldNumber: number, value: Uint8Array): Uint8Array {
  const length: number[] = [];
  let rest = value.length;
  while (rest > 0x7f) {
    length.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  const bytes = new Uint8Array(1 + length.length + 1 + value.length);
  bytes[0] = (fieldNumber << 3) | 2;
  bytes.set(length, 1);
  bytes[1 + length.length] = rest;
  bytes.set(value, 2 + length.length);
  return bytes;
}
