/** Length in bits of the code of each byte (RFC 7541 appendix B). The end marker has 30 and stands for no byte. */
// biome-ignore format: a table reads best in rows
export const codeLengths: Uint8Array = new Uint8Array([
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
  7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
  23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
  21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
]);

/** Longest code of a byte. */
export const longestCode = 30;

/** Bytes ordered by the length of their code and then by value: the code is canonical, so this order gives it. */
export const symbolsByCode: Uint8Array = Uint8Array.from(
  Array.from({ length: 256 }, (_, byte) => byte).sort((a, b) => lengthOf(a) - lengthOf(b) || a - b),
);

/** The code of each byte, right-aligned. */
export const codes: Uint32Array = new Uint32Array(256);
/** First code of each length, right-aligned. */
export const firstCode: Uint32Array = new Uint32Array(longestCode + 1);
/** How many codes have that length. */
export const codeCount: Uint16Array = new Uint16Array(longestCode + 1);
/** Where the codes of that length begin in {@link symbolsByCode}. */
export const firstSymbol: Uint16Array = new Uint16Array(longestCode + 1);

let nextCode = 0;
let lastLength = 0;
for (const [at, byte] of symbolsByCode.entries()) {
  const length = lengthOf(byte);
  nextCode <<= length - lastLength;
  if (length !== lastLength) {
    firstCode[length] = nextCode;
    firstSymbol[length] = at;
  }
  lastLength = length;
  codes[byte] = nextCode;
  codeCount[length] = (codeCount[length] as number) + 1;
  nextCode += 1;
}

function lengthOf(byte: number): number {
  return codeLengths[byte] as number;
}
