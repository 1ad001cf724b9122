/** The server under attack: @tokenwire/grpc with its default limits. Says its port on one line and serves until it is killed. */
import { createServer, type ServerStreamingCall } from "@tokenwire/grpc";

const codec = {
  decodeRequest: (bytes: Uint8Array): unknown => bytes,
  encodeResponse: (message: unknown): Uint8Array => message as Uint8Array,
};
/** HealthCheckResponse with SERVING. */
const serving = Uint8Array.of(0x08, 0x01);
const token = new Uint8Array(64);

const server = createServer();
server.register({
  name: "grpc.health.v1.Health",
  methods: [
    { kind: "unary", name: "Check", ...codec, handler: () => serving },
    { kind: "server-streaming", name: "Watch", ...codec, openEnded: true, handler: (_request, call) => watch(call) },
  ],
});
server.register({
  name: "hostile.Service",
  methods: [
    { kind: "unary", name: "Echo", ...codec, handler: (request) => request },
    { kind: "server-streaming", name: "Tokens", ...codec, handler: (_request, call) => tokens(call) },
    { kind: "unary", name: "Later", ...codec, handler: (_request, { signal }) => later(signal) },
  ],
});
const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
console.log(port);

/** Messages without end, as fast as they are read. */
async function tokens(call: ServerStreamingCall<unknown>): Promise<void> {
  while (!call.signal.aborted) if (!call.write(token)) await call.drained();
}

async function watch(call: ServerStreamingCall<unknown>): Promise<void> {
  call.write(serving);
  await aborted(call.signal);
}

async function later(signal: AbortSignal): Promise<unknown> {
  await aborted(signal);
  return token;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}
