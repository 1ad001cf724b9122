import type { Random } from "./random.ts";

/** Numbers at the edges of the fields that a peer fills in. */
const edges = [0, 1, 2, 4, 5, 8, 9, 0x1f, 0x20, 0x3e, 0x3f, 0x40, 0x7e, 0x7f, 0x80, 0xbe, 0xc0, 0xfe, 0xff] as const;
const most = 4;

/** Changes an input in a few places without knowing what it means. No longer than `maxBytes` in the end. */
export function mutate(input: Uint8Array, other: Uint8Array, random: Random, maxBytes: number): Uint8Array {
  let bytes = Array.from(input);
  for (let left = random.between(1, most); left > 0; left -= 1) bytes = mutateOnce(bytes, other, random);
  return Uint8Array.from(bytes.slice(0, maxBytes));
}

function mutateOnce(bytes: number[], other: Uint8Array, random: Random): number[] {
  const at = random.below(bytes.length + 1);
  const length = random.oneIn(3) ? random.below(bytes.length - at + 1) : random.below(10);
  switch (random.below(8)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.pick(edges);
      return bytes;
    case 2:
      if (at < bytes.length) bytes[at] = ((bytes[at] as number) + random.between(-4, 4)) & 255;
      return bytes;
    case 3:
      bytes.splice(at, length);
      return bytes;
    case 4:
      bytes.splice(at, 0, ...bytes.slice(at, at + length));
      return bytes;
    case 5:
      bytes.splice(at, 0, ...random.bytes(random.between(1, 9)));
      return bytes;
    case 6: {
      const from = random.below(other.length + 1);
      bytes.splice(at, random.oneIn(2) ? length : 0, ...other.subarray(from, from + random.below(64)));
      return bytes;
    }
    default:
      return bytes.slice(0, Math.max(1, at));
  }
}
