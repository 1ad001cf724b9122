import { type OutgoingHttpHeaders, sensitiveHeaders } from "node:http2";
import { FrameFlag, FrameType } from "../src/http2/frame/frame-header.ts";
import { SettingId } from "../src/http2/frame/settings.ts";
import { HpackDecoder } from "../src/http2/hpack/decoder.ts";
import { HpackEncoder, type Indexing } from "../src/http2/hpack/encoder.ts";
import { HpackError } from "../src/http2/hpack/hpack-error.ts";
import { rule } from "./fuzzer.ts";
import { hpackFuzzer } from "./hpack-fuzzer.ts";
import type { Random } from "./random.ts";
import { RawServer } from "./raw-server.ts";

const { END_STREAM, END_HEADERS, ACK } = FrameFlag;
const names = ["accept", "x-a", "x-b", "x-c", "authorization", "user-agent", "grpc-timeout", "x-bin", "etag"] as const;
const tableSizes = [0, 32, 60, 100, 500, 4096] as const;
const indexings: readonly Indexing[] = ["index", "index", "plain", "never"];
const compressionError = 9;

/** Field lists that nghttp2 encodes, with tables of changing size and secrets, come out of our decoder as they went in. */
export async function decodeNghttp2(random: Random, blocks: number): Promise<void> {
  const server = new RawServer([[SettingId.MAX_CONCURRENT_STREAMS, 1000]]);
  const decoder = new HpackDecoder();
  try {
    for (let left = blocks; left > 0; left -= 1) {
      if (random.oneIn(5)) await resizeClientTable(server, random);
      const fields = randomFields(random);
      const stream = server.client.request(asHeaders(fields, random), { endStream: true });
      stream.on("error", () => undefined);
      const frame = await server.next(({ type }) => type === FrameType.HEADERS);
      rule(frame !== undefined, () => "the client hung up");
      const block = Uint8Array.from(frame.payload.subarray((frame.flags & FrameFlag.PRIORITY) === 0 ? 0 : 5));
      const list = decoder.decode(block, 0, block.length, 1 << 20);
      rule(list.fields.slice(0, 2).join() === ":method,POST", () => "the first field is not the method");
      const regular = list.fields.filter((_, i) => list.fields[i - (i % 2)]?.startsWith(":") === false);
      rule(regular.join("\0") === fields.flat().join("\0"), () => `nghttp2's ${fields} decodes to ${regular}`);
      stream.close(8);
    }
  } finally {
    server.close();
  }
}

/** Field lists that our encoder writes come out of nghttp2 as they went in, however it wants our table. */
export async function encodeForNghttp2(random: Random, blocks: number): Promise<void> {
  const server = new RawServer([[SettingId.MAX_CONCURRENT_STREAMS, 1000]]);
  const encoder = new HpackEncoder();
  try {
    for (let left = blocks; left > 0; left -= 1) {
      if (random.oneIn(5)) await resizeOurTable(server, encoder, random);
      const stream = server.client.request({ ":path": "/" }, { endStream: true });
      stream.on("error", () => undefined);
      const answered = new Promise<string[]>((resolve, reject) => {
        stream.on("response", (...args: unknown[]) => resolve(args[2] as string[]));
        stream.on("close", () => reject(new Error("nghttp2 refused our field block")));
      });
      answered.catch(() => undefined);
      const request = await server.next(({ type }) => type === FrameType.HEADERS);
      rule(request !== undefined, () => "the client hung up");
      const fields = [":status", "200", ...randomFields(random).flat()];
      const block = encode(encoder, fields, random);
      server.send(FrameType.HEADERS, END_HEADERS | END_STREAM, request.streamId, block);
      const seen = await answered;
      rule(seen.join("\0") === fields.join("\0"), () => `our ${fields} decodes to ${seen} in nghttp2`);
      stream.resume();
    }
  } finally {
    server.close();
  }
}

/** Blocks of any bytes: nghttp2 and our decoder take the same ones. Answers true when this one was refused by both. */
export async function refuseLikeNghttp2(random: Random): Promise<boolean> {
  const made = hpackFuzzer.make(random);
  const block = made.subarray(2, 2 + (made[1] ?? 0));
  let refused = false;
  try {
    new HpackDecoder().decode(block, 0, block.length, 1 << 20);
  } catch (thrown) {
    if (!(thrown instanceof HpackError)) throw thrown;
    refused = true;
  }
  const server = new RawServer([]);
  try {
    const stream = server.client.request({ ":path": "/" }, { endStream: true });
    stream.on("error", () => undefined);
    const request = await server.next(({ type }) => type === FrameType.HEADERS);
    rule(request !== undefined, () => "the client hung up");
    server.send(FrameType.HEADERS, END_HEADERS | END_STREAM, request.streamId, block);
    // Its answer to the PING says that it took the block, whatever it thinks of the fields.
    server.send(FrameType.PING, 0, 0, new Uint8Array(8));
    const answer = await server.next(
      ({ type, flags }) => type === FrameType.GOAWAY || (type === FrameType.PING && (flags & ACK) !== 0),
    );
    const theirs = answer?.type === FrameType.GOAWAY && answer.payload[7] === compressionError;
    const verdicts = () =>
      `${Buffer.from(block).toString("hex")}: we ${refused ? "refuse" : "take"} it, nghttp2 does not`;
    rule(theirs === refused, verdicts);
    return refused;
  } finally {
    server.close();
  }
}

/** Our SETTINGS tell the client's encoder how large its table may be; ours allows no more than 4,096 bytes. */
async function resizeClientTable(server: RawServer, random: Random): Promise<void> {
  const sizes = Array.from({ length: random.between(1, 2) }, () => random.pick(tableSizes));
  for (const size of sizes) server.settings([[SettingId.HEADER_TABLE_SIZE, size]]);
  let acks = 0;
  await server.next(({ type, flags }) => {
    if (type === FrameType.SETTINGS && (flags & ACK) !== 0) acks += 1;
    return acks === sizes.length;
  });
}

async function resizeOurTable(server: RawServer, encoder: HpackEncoder, random: Random): Promise<void> {
  const headerTableSize = random.pick(tableSizes);
  server.client.settings({ headerTableSize });
  await server.next(({ type, payload }) => {
    for (let at = 0; type === FrameType.SETTINGS && at + 6 <= payload.length; at += 6) {
      const entry = Buffer.from(payload.subarray(at, at + 6));
      if (entry.readUInt16BE() === SettingId.HEADER_TABLE_SIZE && entry.readUInt32BE(2) === headerTableSize)
        return true;
    }
    return false;
  });
  encoder.limitTable(headerTableSize, headerTableSize);
}

function encode(encoder: HpackEncoder, fields: readonly string[], random: Random): Uint8Array {
  const out = new Uint8Array(encoder.maxBytes(fields));
  let end = encoder.encodeUpdates(out, 0);
  for (let i = 0; i < fields.length; i += 2) {
    end = encoder.encode(out, end, fields[i] as string, fields[i + 1] as string, random.pick(indexings));
  }
  return out.subarray(0, end);
}

function randomFields(random: Random): [string, string][] {
  const used = new Set<string>();
  const fields: [string, string][] = [];
  for (let left = random.below(8); left > 0; left -= 1) {
    const name = random.oneIn(3) ? `x-${random.below(50)}` : random.pick(names);
    if (used.has(name)) continue;
    used.add(name);
    fields.push([name, randomValue(random)]);
  }
  return fields;
}

function randomValue(random: Random): string {
  if (random.oneIn(3)) return random.pick(["", "trailers", "1S", "application/grpc"]);
  const length = random.oneIn(10) ? random.below(3_000) : random.below(30);
  const code = () => (random.oneIn(6) ? random.between(0x80, 0xff) : random.between(0x21, 0x7e));
  return String.fromCharCode(...Array.from({ length }, code));
}

function asHeaders(fields: readonly (readonly [string, string])[], random: Random): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders & { [sensitiveHeaders]?: string[] } = { ":method": "POST", ":path": "/t.T/U" };
  for (const [name, value] of fields) headers[name] = value;
  headers[sensitiveHeaders] = fields.filter(() => random.oneIn(4)).map(([name]) => name);
  return headers;
}
