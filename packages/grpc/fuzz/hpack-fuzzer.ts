import { HpackDecoder } from "../src/http2/hpack/decoder.ts";
import { HpackEncoder, type Indexing } from "../src/http2/hpack/encoder.ts";
import { HpackError } from "../src/http2/hpack/hpack-error.ts";
import { writeInteger } from "../src/http2/hpack/integer.ts";
import { type Fuzzer, rule } from "./fuzzer.ts";
import type { Random } from "./random.ts";
import { ReferenceHpack, Refused } from "./reference-hpack.ts";

const tableSizes = [4096, 4096, 256, 64, 0, 65_536] as const;
const listBounds = [1 << 20, 1 << 20, 200, 33] as const;
const names = ["a", "te", ":path", "grpc-timeout", "content-type", "x-bin", "authorization", "", "user-agent"] as const;
const indexings: readonly Indexing[] = ["index", "index", "plain", "never"];

/**
 * Field blocks of one connection, one after the other, against a decoder that shares no code but the tables of the
 * RFC. An input is a byte that picks table size and bound, and then blocks, each behind its length in one byte.
 */
export const hpackFuzzer: Fuzzer = {
  name: "hpack",
  maxBytes: 300,

  make(random) {
    const out: number[] = [random.next() & 255];
    const encoder = new HpackEncoder();
    for (let left = random.between(1, 4); left > 0; left -= 1) {
      const block = random.oneIn(3) ? looseBlock(random) : encodedBlock(encoder, random);
      out.push(Math.min(255, block.length), ...block.slice(0, 255));
    }
    return Uint8Array.from(out);
  },

  check(input) {
    const choice = input[0] ?? 0;
    const tableBytes = tableSizes[choice % tableSizes.length] as number;
    const bound = listBounds[(choice >> 3) % listBounds.length] as number;
    const decoder = new HpackDecoder(tableBytes);
    const reference = new ReferenceHpack(tableBytes);
    const encoder = new HpackEncoder();
    const back = new HpackDecoder();
    let outcome = `${tableBytes} `;
    for (let at = 1; at < input.length; ) {
      const start = at + 1;
      const end = Math.min(input.length, start + (input[at] as number));
      at = end;
      const expected = refusable(() => reference.decode(input.subarray(start, end)), Refused);
      const list = refusable(() => decoder.decode(input, start, end, bound), HpackError);
      rule(
        (list === undefined) === (expected === undefined),
        () => `${list ? "decodes" : "refuses"} what the reference does not`,
      );
      if (list === undefined || expected === undefined) return `${outcome}refused`;
      checkList(list, expected, bound, end - start);
      rule(decoder.tableBytes <= tableBytes, () => `the table holds ${decoder.tableBytes} of ${tableBytes} bytes`);
      roundTrip(encoder, back, expected, choice);
      outcome += `${expected.length / 2}${decoder.tableBytes > 0 ? "+" : "-"}`;
    }
    return outcome;
  },
};

function checkList(
  list: { readonly fields: readonly string[]; readonly bytes: number },
  expected: readonly string[],
  bound: number,
  blockBytes: number,
): void {
  const bytes = expected.reduce((sum, text) => sum + text.length + 16, 0);
  rule(list.bytes === bytes, () => `the list has ${list.bytes} bytes and by the reference ${bytes}`);
  rule(expected.length / 2 <= blockBytes, () => "more fields than bytes");
  const kept = bytes > bound ? [] : expected;
  rule(list.fields.join("\0") === kept.join("\0"), () => "other fields than the reference's");
}

/** What was decoded is encoded by us and comes back. */
function roundTrip(encoder: HpackEncoder, decoder: HpackDecoder, fields: readonly string[], choice: number): void {
  const out = new Uint8Array(encoder.maxBytes(fields));
  if ((choice & 64) !== 0) encoder.limitTable(choice, choice * 16);
  let end = encoder.encodeUpdates(out, 0);
  for (let i = 0; i < fields.length; i += 2) {
    const indexing = indexings[(choice + i) % indexings.length] as Indexing;
    end = encoder.encode(out, end, fields[i] as string, fields[i + 1] as string, indexing);
  }
  rule(end <= out.length, () => `encoded to ${end} bytes, more than the ${out.length} foretold`);
  const list = decoder.decode(out, 0, end, 1 << 24);
  rule(list.fields.join("\0") === fields.join("\0"), () => "encoded and decoded to other fields");
}

function encodedBlock(encoder: HpackEncoder, random: Random): number[] {
  const fields: string[] = [];
  for (let left = random.below(5); left > 0; left -= 1) fields.push(random.pick(names), randomText(random));
  const out = new Uint8Array(encoder.maxBytes(fields) + 20);
  if (random.oneIn(6)) encoder.limitTable(random.below(300), random.below(5000));
  let end = encoder.encodeUpdates(out, 0);
  for (let i = 0; i < fields.length; i += 2) {
    end = encoder.encode(out, end, fields[i] as string, fields[i + 1] as string, random.pick(indexings));
  }
  return Array.from(out.subarray(0, end));
}

/** Representations in any order, with indices and lengths at their edges. */
function looseBlock(random: Random): number[] {
  const out = new Uint8Array(400);
  let end = 0;
  for (let left = random.between(1, 8); left > 0; left -= 1) {
    switch (random.below(4)) {
      case 0:
        end = writeInteger(out, end, random.pick([0, 1, 8, 61, 62, 63, 64, 65, 126, 127, 128, 200, 16_000]), 7, 0x80);
        break;
      case 1:
        end = writeInteger(out, end, random.pick([0, 30, 31, 32, 64, 4095, 4096, 4097, 70_000]), 5, 0x20);
        break;
      default: {
        const isKept = random.oneIn(2);
        const index = random.pick([0, 0, 1, 61, 62, 63, 70]);
        end = writeInteger(out, end, index, isKept ? 6 : 4, isKept ? 0x40 : random.pick([0, 0x10]));
        for (let strings = index === 0 ? 2 : 1; strings > 0; strings -= 1) end = writeText(out, end, random);
      }
    }
  }
  return Array.from(out.subarray(0, end));
}

function writeText(out: Uint8Array, at: number, random: Random): number {
  const length = random.below(8);
  const said = random.oneIn(15) ? random.pick([126, 127, 128, 100_000, 2 ** 28]) : length;
  const end = writeInteger(out, at, said, 7, random.oneIn(3) ? 0x80 : 0);
  out.set(random.bytes(length), end);
  return end + length;
}

function randomText(random: Random): string {
  if (random.oneIn(3)) return random.pick(["", "trailers", "application/grpc", "1S"]);
  return String.fromCharCode(...Array.from({ length: random.below(20) }, () => random.below(256)));
}

function refusable<Result>(work: () => Result, refusal: new (message: string) => Error): Result | undefined {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof refusal) return undefined;
    throw thrown;
  }
}
