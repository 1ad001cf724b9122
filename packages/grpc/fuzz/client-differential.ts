import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { duplexPair } from "node:stream";
import { systemClock } from "../src/clock.ts";
import { type Limits, limitsOf } from "../src/limits.ts";
import { RpcServer } from "../src/rpc/rpc-server.ts";
import { cut } from "./frame-fuzzer.ts";
import { fuzzService } from "./fuzz-service.ts";
import { rule } from "./fuzzer.ts";
import type { Random } from "./random.ts";

const methods = ["U", "A", "F", "S", "C", "B"] as const;
const windows = [60, 300, 1_000, 65_535, 1_000_000] as const;
/** A client with a window of a few bytes earns ENHANCE_YOUR_CALM, which is right and is not what is looked at here. */
const patient: Partial<Limits> = { controlFrameBurst: 1_000_000 };

/** A call with the answer that it has to have. */
interface Expected {
  readonly method: (typeof methods)[number];
  readonly requests: readonly Uint8Array[];
  readonly responses: readonly Uint8Array[];
  readonly status: number;
}

/**
 * A random program of calls through Node's own HTTP/2 client (nghttp2) against the server in memory: windows that
 * change under way, bodies cut anywhere, readers that stop for a while, calls taken back. What is not taken back has to
 * be answered with exactly what its request asks for, and in the end nothing is left. Answers how many calls it made.
 */
export async function playWithNodeClient(random: Random): Promise<number> {
  const rpc = new RpcServer(limitsOf(patient), systemClock, () => undefined);
  rpc.register(fuzzService);
  const [clientSide, side] = duplexPair();
  const disconnect = serve(rpc, side, random);
  const client = connect("http://fuzz", {
    createConnection: () => clientSide,
    settings: { initialWindowSize: random.pick(windows), headerTableSize: random.pick([0, 100, 4096]) },
    paddingStrategy: random.below(3),
  });
  client.on("error", () => undefined);
  try {
    const calls = Array.from({ length: random.between(1, 12) }, () => play(client, random));
    const changes = changeWindows(client, random);
    await Promise.all([...calls, changes]);
    return calls.length;
  } finally {
    client.destroy();
    disconnect();
    await turn();
    await turn();
    rule(rpc.activeCalls === 0, () => `${rpc.activeCalls} calls are left`);
    rpc.close();
  }
}

/** Moves bytes as a socket would, in pieces of any size, and never from within a call of the other side. */
function serve(rpc: RpcServer, side: ReturnType<typeof duplexPair>[0], random: Random): () => void {
  let scheduled = false;
  const waiting: Uint8Array[] = [];
  const connection = rpc.connect("", () => schedule());
  const { http2 } = connection;
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      const piece = waiting.shift();
      if (piece !== undefined) connection.receive(piece);
      http2.pump();
      for (const bytes of http2.take()) if (!side.destroyed) side.write(Uint8Array.from(bytes));
      http2.sender.output.release();
      if (http2.hasWork || waiting.length > 0) schedule();
    });
  };
  side.on("error", () => undefined);
  side.on("data", (bytes: Buffer) => {
    waiting.push(...cut(bytes, random).map((piece) => Uint8Array.from(piece)));
    schedule();
  });
  schedule();
  return () => {
    http2.disconnected();
    side.destroy();
  };
}

async function changeWindows(client: ClientHttp2Session, random: Random): Promise<void> {
  for (let left = random.below(4); left > 0; left -= 1) {
    await turn();
    if (random.oneIn(2)) client.settings({ initialWindowSize: random.pick(windows) });
    else client.setLocalWindowSize(65_535 + random.below(1_000_000));
  }
}

async function play(client: ClientHttp2Session, random: Random): Promise<void> {
  for (let left = random.below(3); left > 0; left -= 1) await turn();
  const expected = randomCall(random);
  const stream = client.request({
    ":method": "POST",
    ":path": `/t.T/${expected.method}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...(random.oneIn(3) ? { "x-long": "v".repeat(random.below(200)) } : {}),
  });
  const answer = collect(stream, random);
  const takenBack = random.oneIn(6);
  await write(stream, expected.requests, random);
  if (takenBack) {
    stream.close(8);
    await answer;
    return;
  }
  const { status, body } = await answer;
  rule(status === expected.status, () => `${expected.method} ends with ${status} and not with ${expected.status}`);
  const wanted = Buffer.concat(expected.responses.map(framed));
  rule(body.equals(wanted), () => `${expected.method}: ${body.length} bytes of answer, ${wanted.length} expected`);
}

async function write(stream: ClientHttp2Stream, requests: readonly Uint8Array[], random: Random): Promise<void> {
  const body = Buffer.concat(requests.map(framed));
  for (const piece of cut(body, random)) {
    if (stream.destroyed) return;
    stream.write(piece);
    if (random.oneIn(20)) await turn();
  }
  stream.end();
}

function collect(stream: ClientHttp2Stream, random: Random): Promise<{ status: number; body: Buffer }> {
  const parts: Buffer[] = [];
  let status = -1;
  stream.on("response", (headers) => {
    status = Number(headers["grpc-status"] ?? status);
  });
  stream.on("trailers", (trailers) => {
    status = Number(trailers["grpc-status"] ?? status);
  });
  stream.on("error", () => undefined);
  stream.on("data", (bytes: Buffer) => {
    parts.push(bytes);
    if (!random.oneIn(10)) return;
    stream.pause();
    setImmediate(() => stream.resume());
  });
  return new Promise((resolve) => stream.on("close", () => resolve({ status, body: Buffer.concat(parts) })));
}

function randomCall(random: Random): Expected {
  const method = random.pick(methods);
  const message = (): Uint8Array => {
    const bytes = random.bytes(random.oneIn(4) ? random.below(3_000) : random.below(40));
    if (bytes.length > 0) bytes[0] = random.below(17);
    return method === "A" || method === "F" ? bytes.subarray(0, 200) : bytes;
  };
  const isStream = method === "C" || method === "B";
  const requests = Array.from({ length: isStream ? random.below(6) : 1 }, message);
  const first = requests[0] ?? new Uint8Array();
  switch (method) {
    case "U":
    case "A":
    case "B":
      return { method, requests, responses: requests, status: 0 };
    case "F":
      return { method, requests, responses: [], status: first[0] ?? 0 };
    case "S": {
      const messages = Array.from({ length: first[0] ?? 0 }, () => new Uint8Array((first[1] ?? 0) * 16));
      return { method, requests, responses: messages, status: 0 };
    }
    case "C": {
      const bytes = requests.reduce((sum, { length }) => sum + length, 0);
      return { method, requests, responses: [Uint8Array.of(bytes >> 8, bytes)], status: 0 };
    }
  }
}

function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
