import { HpackError } from "./hpack-error.ts";
import { codeCount, codeLengths, codes, firstCode, firstSymbol, longestCode, symbolsByCode } from "./huffman-code.ts";
import { latin1 } from "./latin1.ts";

/** What the next eight bits begin with: `length << 8 | byte`, or 0 when the code is longer than eight bits. */
const byPrefix = new Uint16Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  const length = codeLengths[byte] as number;
  if (length > 8) continue;
  const first = (codes[byte] as number) << (8 - length);
  byPrefix.fill((length << 8) | byte, first, first + (1 << (8 - length)));
}

const pairBits = 12;
/**
 * What the next twelve bits begin with: `bytes << 24 | length << 16 | second << 8 | first`, one byte or two, or 0 when the first
 * code is longer than eight bits. Two at a time are a third faster for the ids that calls have (bench/transport, go100).
 */
const pairByPrefix = new Uint32Array(1 << pairBits);
for (let bits = 0; bits < pairByPrefix.length; bits += 1) {
  const first = byPrefix[bits >>> (pairBits - 8)] as number;
  if (first === 0) continue;
  const left = pairBits - (first >>> 8);
  const second = byPrefix[((bits << (pairBits - left)) >>> (pairBits - 8)) & 255] as number;
  const isPair = second !== 0 && second >>> 8 <= left;
  const length = (first >>> 8) + (isPair ? second >>> 8 : 0);
  pairByPrefix[bits] = (((isPair ? 2 : 1) << 24) | (length << 16) | ((second & 255) << 8) | (first & 255)) >>> 0;
}

/** Strings in field blocks are far below this; a longer one is decoded into a buffer of its own. */
const scratch = Buffer.allocUnsafeSlow(16_384);
/** Shortest code: a string of n bytes decodes to at most 8n/5. */
const shortestCode = 5;

/**
 * Decodes a Huffman-coded string (RFC 7541 section 5.2) into a string of one character per byte. Throws
 * {@link HpackError} for padding that is longer than seven bits or not all ones, and for the end marker.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  const limit = Math.ceil(((end - start) * 8) / shortestCode);
  const out = limit <= scratch.length ? scratch : Buffer.allocUnsafe(limit);
  const endBit = end * 8;
  let bit = start * 8;
  let length = 0;
  for (let at = start; at + 2 < end; at = bit >>> 3) {
    const pair = pairByPrefix[twelveBits(bytes, at, bit)] as number;
    if (pair === 0) break;
    bit += (pair >>> 16) & 255;
    out[length] = pair;
    out[length + 1] = pair >>> 8;
    length += pair >>> 24;
  }
  while (bit < endBit) {
    let found = byPrefix[eightBits(bytes, bit, end)] as number;
    if (found === 0) {
      // Bits behind the end read as ones, so what is left of a byte here is ones alone: padding.
      if (endBit - bit < 8) break;
      found = longCode(bytes, bit, end);
    }
    bit += found >>> 8;
    if (bit > endBit) throw new HpackError("a Huffman-coded string ends within a code");
    out[length] = found;
    length += 1;
  }
  return latin1(out, 0, length);
}

/** Twelve bits from a bit's position in the byte `at` on, which two more follow. */
function twelveBits(bytes: Uint8Array, at: number, bit: number): number {
  const three = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
  return (three >>> (pairBits - (bit & 7))) & 0xfff;
}

/** Eight bits from a bit's position on. */
function eightBits(bytes: Uint8Array, bit: number, end: number): number {
  const at = bit >>> 3;
  const next = at + 1 < end ? (bytes[at + 1] as number) : 255;
  return ((((bytes[at] as number) << 8) | next) >>> (8 - (bit & 7))) & 255;
}

/** `length << 8 | byte` of the code at a bit's position, for codes of more than eight bits. */
function longCode(bytes: Uint8Array, bit: number, end: number): number {
  let code = eightBits(bytes, bit, end);
  for (let length = 9; length <= longestCode; length += 1) {
    const at = bit + length - 1;
    const byte = at >>> 3 < end ? (bytes[at >>> 3] as number) : 255;
    code = (code << 1) | ((byte >>> (7 - (at & 7))) & 1);
    const rank = code - (firstCode[length] as number);
    if (rank >= 0 && rank < (codeCount[length] as number)) {
      return (length << 8) | (symbolsByCode[(firstSymbol[length] as number) + rank] as number);
    }
  }
  throw new HpackError("a Huffman-coded string holds the end marker or more than seven bits of padding");
}

/** Length of a string of one character per byte when it is Huffman-coded. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) bits += codeLengths[text.charCodeAt(i) & 255] as number;
  return (bits + 7) >>> 3;
}

/** Writes a string of one character per byte Huffman-coded and answers where the next byte goes. */
export function encodeHuffman(out: Uint8Array, at: number, text: string): number {
  let end = at;
  let held = 0;
  let heldBits = 0;
  for (let i = 0; i < text.length; i += 1) {
    const byte = text.charCodeAt(i) & 255;
    let left = codeLengths[byte] as number;
    const code = codes[byte] as number;
    while (left > 0) {
      const take = Math.min(left, 8 - heldBits);
      held = (held << take) | ((code >>> (left - take)) & ((1 << take) - 1));
      heldBits += take;
      left -= take;
      if (heldBits === 8) {
        out[end] = held;
        end += 1;
        held = 0;
        heldBits = 0;
      }
    }
  }
  if (heldBits > 0) {
    out[end] = (held << (8 - heldBits)) | (255 >>> heldBits);
    end += 1;
  }
  return end;
}
