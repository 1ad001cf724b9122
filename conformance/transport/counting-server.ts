// A server whose answers can be checked to the byte, for suites that count what was lost and what was left.
//   counting-server.ts [--tls CERT KEY] [SOCKET …]
// It listens on a free port of the loopback and on the Unix sockets, with TLS on those that are named *.tls. It prints the
// port when it listens, and for each line on standard input a line of JSON: a Report.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";
import { type Call, createServer, type Limits, type Method, type ServerStreamingCall } from "@tokenwire/grpc";
import { numberedMessage } from "./numbered-message.ts";

/** What the server has done and what it still holds. */
export interface Report {
  readonly begun: number;
  /** Handlers that returned, and those of them whose call was cut off before. */
  readonly returned: number;
  readonly cut: number;
  readonly activeCalls: number;
  readonly connections: number;
  /** After a garbage collection, where Node was started with --expose-gc. */
  readonly heapBytes: number;
  readonly residentBytes: number;
  /** What keeps the process alive (sockets, timers, …), listeners and standard streams included. */
  readonly resources: number;
  /** Times that a stream waited for its client. */
  readonly waits: number;
  /** Errors of handlers, which should be none. */
  readonly failures: readonly string[];
}

const args = process.argv.slice(2);
const [cert, key] =
  args[0] === "--tls"
    ? args
        .splice(0, 3)
        .slice(1)
        .map((file) => readFileSync(file))
    : [];
const limits: Partial<Limits> = JSON.parse(process.env.COUNTING_SERVER_LIMITS ?? "{}");

let begun = 0;
let returned = 0;
let cut = 0;
let waits = 0;
const failures: string[] = [];

const counted =
  <Result>(handler: (request: Buffer, call: ServerStreamingCall<Uint8Array>) => Promise<Result>) =>
  async (request: unknown, call: Call): Promise<Result> => {
    begun += 1;
    try {
      return await handler(request as Buffer, call as ServerStreamingCall<Uint8Array>);
    } finally {
      returned += 1;
      if (call.signal.aborted) cut += 1;
    }
  };
const codec: Pick<Method, "decodeRequest" | "encodeResponse"> = {
  decodeRequest: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
  encodeResponse: (bytes) => bytes as Uint8Array,
};

const methods: readonly Method[] = [
  /** Answers the request. */
  { kind: "unary", name: "Echo", ...codec, handler: counted(async (request) => request) },
  /** Answers when its call is cut, which is too late for anybody. */
  {
    kind: "unary",
    name: "Wait",
    ...codec,
    handler: counted(async (request, { signal }) => {
      if (!signal.aborted) await once(signal, "abort");
      return request;
    }),
  },
  /** For eight bytes, a stream's number and a count, answers that many numbered messages. */
  {
    kind: "server-streaming",
    name: "Count",
    ...codec,
    handler: counted(async (request, call) => {
      const stream = request.readUInt32BE(0);
      const count = request.readUInt32BE(4);
      for (let number = 0; number < count && !call.signal.aborted; number += 1) {
        if (call.write(numberedMessage(stream, number))) continue;
        waits += 1;
        await call.drained();
      }
    }),
  },
  /** Answers how many bytes came. */
  {
    kind: "client-streaming",
    name: "Sum",
    ...codec,
    handler: (call) =>
      counted(async () => {
        let sum = 0;
        for await (const request of call.requests) sum += (request as Buffer).length;
        const answer = Buffer.alloc(4);
        answer.writeUInt32BE(sum);
        return answer;
      })(undefined, call),
  },
  /** Answers each request with itself. */
  {
    kind: "bidi-streaming",
    name: "Talk",
    ...codec,
    handler: (call) =>
      counted(async () => {
        for await (const request of call.requests) if (!call.write(request)) await call.drained();
      })(undefined, call),
  },
];

const server = createServer({
  limits,
  onEvent: (event) => {
    if (event.t === "handler-failed" && failures.length < 10) failures.push(`${event.path}: ${event.error}`);
  },
});
server.register({ name: "tokenwire.test.Counting", methods });
const tls = cert === undefined || key === undefined ? {} : { tls: { cert, key } };
const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
for (const path of args) await server.listen({ path, ...(path.endsWith(".tls") ? tls : {}) });
console.log(String(port));

createInterface(process.stdin).on("line", async () => {
  globalThis.gc?.();
  // What ended in this turn is free only behind it.
  await setImmediate();
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const report: Report = {
    begun,
    returned,
    cut,
    activeCalls: server.activeCalls,
    connections: server.connections,
    heapBytes: heapUsed,
    residentBytes: rss,
    resources: process.getActiveResourcesInfo().length,
    waits,
    failures,
  };
  console.log(JSON.stringify(report));
});
process.on("SIGTERM", () => void server.close("the suite is over").then(() => process.exit(0)));
