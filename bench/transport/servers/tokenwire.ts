// Serves @tokenwire/health and tokens.proto over @tokenwire/grpc. Arguments: none, or certificate and key for TLS.
import { readFileSync } from "node:fs";
import { createServer, type PushedCall } from "@tokenwire/grpc";
import { createHealthService, StatusTable } from "@tokenwire/health";
import { announce, onFlip } from "../../watchers/servers/announce.ts";
import {
  chunkAt,
  decodeGenerateRequest,
  encodeTokenChunk,
  encodeTokenChunkInto,
  type GenerateRequest,
  startPace,
  stopPace,
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
      kind: "server-push",
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

function generate(request: GenerateRequest, call: PushedCall<TokenChunk>): void {
  if (request.intervalMs > 0 || request.stepMs > 0) pace(request, call);
  else void flood(request, call);
}

async function flood({ messages }: GenerateRequest, call: PushedCall<TokenChunk>): Promise<void> {
  let cancelled = false;
  call.onCancelled(() => {
    cancelled = true;
  });
  for (let index = 0; index < messages && !cancelled; index += 1) {
    if (!call.write(chunkAt(index))) await call.drained();
  }
  call.end();
}

function pace(request: GenerateRequest, call: PushedCall<TokenChunk>): void {
  const { messages } = request;
  let index = 0;
  const next = (): void => {
    if (index < messages) call.write(chunkAt(index));
    else end();
    index += 1;
  };
  const started = startPace(request, next);
  const end = (): void => {
    stopPace(started, next);
    call.end();
  };
  call.onCancelled(end);
}
