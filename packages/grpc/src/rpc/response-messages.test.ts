import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameFlag, FrameType, readFrameHeader } from "../http2/frame/frame-header.ts";
import { SettingId } from "../http2/frame/settings.ts";
import { HpackDecoder } from "../http2/hpack/decoder.ts";
import { limitsOf } from "../limits.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { frameBytes, ScriptedPeer, setting, uint32 } from "../testing/scripted-peer.ts";
import { type MethodOptions, unary } from "./define-method.ts";
import type { MessageWriter } from "./message-writer.ts";
import { RpcServer } from "./rpc-server.ts";

const clientPreface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** A request `n` is answered with so many bytes of the value `n % 251`. */
const Length = { decode: (bytes: Uint8Array): number => Buffer.from(bytes).readUInt32BE() };
const Filled = { encode: (length: number) => ({ finish: () => Buffer.alloc(length, length % 251) }) };
const inPlace: MethodOptions<number> = {
  encodeInto: (length: number, writer: MessageWriter) => {
    writer.reserve(length);
    writer.bytes.fill(length % 251, writer.at, writer.at + length);
    writer.at += length;
  },
};

/** Asks with an initial window of so many bytes, then opens all windows; the content and the status of each answer. */
function answersOf(requests: readonly { readonly length: number; readonly method: string }[], windowBytes: number) {
  const server = new RpcServer(limitsOf(), new ManualClock(), () => undefined);
  const methods = [unary("Whole", Length, Filled, (n) => n), unary("InPlace", Length, Filled, (n) => n, inPlace)];
  server.register({ name: "test.Fill", methods });
  const connection = server.connect("peer", () => undefined);
  const encoder = new ScriptedPeer();
  const decoder = new HpackDecoder();
  const contents = requests.map((): Buffer[] => []);
  const statuses: string[] = requests.map(() => "");
  const take = (): void => {
    const bytes = Buffer.concat(connection.http2.take());
    for (let at = 0; at < bytes.length; ) {
      const { length, type, streamId } = readFrameHeader(bytes, at);
      const payload = bytes.subarray(at + 9, at + 9 + length);
      if (type === FrameType.DATA) contents[streamId >> 1]?.push(payload);
      if (type === FrameType.HEADERS) {
        const { fields } = decoder.decode(payload, 0, length, 1e6);
        const status = fields.indexOf("grpc-status");
        if (status >= 0) statuses[streamId >> 1] = fields[status + 1] as string;
      }
      at += 9 + length;
    }
  };
  const frame = (...args: Parameters<typeof frameBytes>) => connection.receive(frameBytes(...args));
  connection.receive(clientPreface);
  frame(FrameType.SETTINGS, 0, 0, setting(SettingId.INITIAL_WINDOW_SIZE, windowBytes));
  for (const [index, { length, method }] of requests.entries()) {
    const id = 2 * index + 1;
    const block = [":method", "POST", ":scheme", "http", ":path", `/test.Fill/${method}`];
    frame(FrameType.HEADERS, FrameFlag.END_HEADERS, id, encoder.block([...block, "content-type", "application/grpc"]));
    frame(FrameType.DATA, FrameFlag.END_STREAM, id, Buffer.concat([Buffer.from([0, 0, 0, 0, 4]), uint32(length)]));
  }
  take();
  frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(1 << 24));
  frame(FrameType.SETTINGS, 0, 0, setting(SettingId.INITIAL_WINDOW_SIZE, 1 << 20));
  for (let turn = 0; turn < 50; turn += 1) {
    connection.http2.pump();
    take();
  }
  return requests.map((_, index) => ({ content: Buffer.concat(contents[index] ?? []), status: statuses[index] }));
}

describe("the answer of a unary call", () => {
  it("arrives whole and unmixed, however large it is, who writes it and what the windows let through", () => {
    const request = fc.record({
      length: fc.oneof(
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 480, max: 520 }),
        fc.integer({ min: 0, max: 40_000 }),
      ),
      method: fc.constantFrom("Whole", "InPlace"),
    });
    const windowBytes = fc.oneof(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 0, max: 65_535 }));
    fc.assert(
      fc.property(fc.array(request, { maxLength: 30, size: "max" }), windowBytes, (requests, windowBytes) => {
        const answers = answersOf(requests, windowBytes);
        for (const [index, { content, status }] of answers.entries()) {
          const length = requests[index]?.length ?? 0;
          assert.equal(status, "0");
          assert.equal(content[0], 0, "not compressed");
          assert.equal(content.readUInt32BE(1), length);
          assert.deepEqual(content.subarray(5), Buffer.alloc(length, length % 251));
        }
      }),
      { numRuns: 60 },
    );
  });
});
