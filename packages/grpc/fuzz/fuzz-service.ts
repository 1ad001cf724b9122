import type { BidiStreamingCall, Call, ClientStreamingCall, ServerStreamingCall } from "../src/rpc/call.ts";
import type { Service } from "../src/rpc/service.ts";
import { GrpcStatusError } from "../src/rpc/status.ts";

const codec = {
  decodeRequest: (bytes: Uint8Array): unknown => {
    if (bytes[0] === 0xff) throw new Error("a message that no codec takes");
    return Uint8Array.from(bytes);
  },
  encodeResponse: (message: unknown): Uint8Array => message as Uint8Array,
};

/** A service with a method of each kind, and with those that handlers get wrong. Its methods have one letter each. */
export const fuzzService: Service = {
  name: "t.T",
  methods: [
    { kind: "unary", name: "U", ...codec, handler: (request) => request },
    { kind: "unary", name: "A", ...codec, handler: answerLater },
    { kind: "unary", name: "F", ...codec, handler: fail },
    { kind: "server-streaming", name: "S", ...codec, handler: repeat },
    { kind: "server-streaming", name: "W", ...codec, openEnded: true, handler: watch },
    { kind: "client-streaming", name: "C", ...codec, handler: count },
    { kind: "bidi-streaming", name: "B", ...codec, handler: echo },
    { kind: "bidi-streaming", name: "D", ...codec, handler: lookAway },
  ],
};

async function answerLater(request: unknown, call: Call): Promise<unknown> {
  call.setHeader("x-h", "1");
  call.compress();
  call.sendHeaders();
  await Promise.resolve();
  call.setTrailer("x-t-bin", request as Uint8Array);
  return request;
}

function fail(request: unknown): unknown {
  const code = (request as Uint8Array)[0] ?? 0;
  const details = Buffer.from(request as Uint8Array).toString("latin1");
  if (code > 16) throw new TypeError(details);
  throw new GrpcStatusError(code as 0, details, { trailers: { "d-bin": request as Uint8Array } });
}

/** The first byte is a number of messages, the second a sixteenth of their size. */
async function repeat(request: unknown, call: ServerStreamingCall<unknown>): Promise<void> {
  const bytes = request as Uint8Array;
  const message = new Uint8Array((bytes[1] ?? 0) * 16);
  for (let left = bytes[0] ?? 0; left > 0 && !call.signal.aborted; left -= 1) {
    if (!call.write(message)) await call.drained();
  }
}

async function watch(request: unknown, call: ServerStreamingCall<unknown>): Promise<void> {
  const gone = new Promise((resolve) => call.signal.addEventListener("abort", resolve));
  call.write(request);
  await gone;
}

async function count(call: ClientStreamingCall<unknown>): Promise<unknown> {
  let bytes = 0;
  for await (const request of call.requests) bytes += (request as Uint8Array).length;
  return Uint8Array.of(bytes >> 8, bytes);
}

async function echo(call: BidiStreamingCall<unknown, unknown>): Promise<void> {
  for await (const request of call.requests) if (!call.write(request)) await call.drained();
}

/** Reads nothing and waits: the client's messages pile up as far as they may. */
async function lookAway(call: BidiStreamingCall<unknown, unknown>): Promise<void> {
  await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
}
