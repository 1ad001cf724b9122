// Serves @tokenwire/health and tokens.proto over @tokenwire/grpc. Arguments: none, or certificate and key for TLS.
import { readFileSync } from "node:fs";
import { createServer, type ServerStreamingCall } from "@tokenwire/grpc";
import { createHealthService, StatusTable } from "@tokenwire/health";
import { announce, onFlip } from "../../watchers/servers/announce.ts";
import {
  chunkAt,
  decodeGenerateRequest,
  encodeTokenChunk,
  encodeTokenChunkInto,
  type GenerateRequest,
  onPace,
  type TokenChunk,
} from "./tokens.ts";

const table = new StatusTable();
table.set("", "SERVING");
const server = createServer();
server.register(createHealthService(table));
server.register({
  name: "tokenwire.bench.Tokens",
  methods: [
    {
      kind: "server-streaming",
      name: "Generate",
      decodeRequest: decodeGenerateRequest,
      encodeResponse: (chunk) => encodeTokenChunk(chunk as TokenChunk),
      encodeInto: (chunk, writer) => encodeTokenChunkInto(chunk as TokenChunk, writer),
      handler: (request, call) => generate(request as GenerateRequest, call),
    },
  ],
});
const [cert, key] = process.argv.slice(2);
const tls =
  cert === undefined || key === undefined ? {} : { tls: { cert: readFileSync(cert), key: readFileSync(key) } };
const { port } = await server.listen({ host: "127.0.0.1", port: 0, ...tls });
onFlip((status) => table.set("", status));
announce(port, ["@tokenwire/grpc", "@tokenwire/health"]);

async function generate(request: GenerateRequest, call: ServerStreamingCall<TokenChunk>): Promise<void> {
  if (request.intervalMs > 0 || request.stepMs > 0) return paced(request, call);
  for (let index = 0; index < request.messages && !call.signal.aborted; index += 1) {
    if (!call.write(chunkAt(index))) await call.drained();
  }
}

function paced(request: GenerateRequest, call: ServerStreamingCall<TokenChunk>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let index = 0;
  const next = (): void => {
    if (index < request.messages) call.write(chunkAt(index));
    else end();
    index += 1;
  };
  const leave = onPace(request, next);
  const end = (): void => {
    leave();
    resolve();
  };
  call.signal.addEventListener("abort", end, { once: true });
  return promise;
}
