// Serves grpc-health-check and tokens.proto over grpc-js. Arguments: none, or certificate and key for TLS.
import { readFileSync } from "node:fs";
import { Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { announce, onFlip } from "../../watchers/servers/announce.ts";
import {
  chunkAt,
  decodeGenerateRequest,
  encodeTokenChunk,
  type GenerateRequest,
  startPace,
  stopPace,
  type TokenChunk,
} from "./tokens.ts";

const health = new HealthImplementation({ "": "SERVING" });
const server = new Server();
health.addToServer(server);
server.addService(
  {
    Generate: {
      path: "/tokenwire.bench.Tokens/Generate",
      requestStream: false,
      responseStream: true,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: decodeGenerateRequest,
      responseSerialize: (chunk: TokenChunk) => encodeTokenChunk(chunk) as Buffer,
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  },
  { Generate: generate },
);
const [cert, key] = process.argv.slice(2);
const credentials =
  cert === undefined || key === undefined
    ? ServerCredentials.createInsecure()
    : ServerCredentials.createSsl(null, [{ cert_chain: readFileSync(cert), private_key: readFileSync(key) }]);
server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
  if (error !== null) throw error;
  onFlip((status) => health.setStatus("", status));
  announce(port, ["@grpc/grpc-js", "grpc-health-check"]);
});

function generate(call: ServerWritableStream<GenerateRequest, TokenChunk>): void {
  const { messages, intervalMs, stepMs } = call.request;
  let index = 0;
  if (intervalMs > 0 || stepMs > 0) {
    const next = (): void => {
      if (index < messages) call.write(chunkAt(index));
      else call.end();
      index += 1;
      if (index > messages) leave();
    };
    const pace = startPace(call.request, next);
    const leave = (): void => stopPace(pace, next);
    call.on("cancelled", leave);
    return;
  }
  const push = (): void => {
    while (index < messages) {
      const goesOn = call.write(chunkAt(index));
      index += 1;
      if (!goesOn) {
        call.once("drain", push);
        return;
      }
    }
    call.end();
  };
  push();
}
