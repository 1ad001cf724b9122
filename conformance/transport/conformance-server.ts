// The server that connectconformance starts and drives: what it should be comes on stdin, where it listens goes to
// stdout, and it ends when it is told to.
import { createServer } from "@tokenwire/grpc";
import { conformanceService } from "./conformance-service.ts";
import { bytesField, bytesOf, messageOf, numberOf, readFields, varintField } from "./protobuf.ts";

const request = readFields(await readSized(process.stdin));
const usesTls = numberOf(request, 4) !== 0;
const clientCertificate = bytesOf(request, 5)[0];
const credentials = messageOf(request, 7) ?? new Map();
const [cert, key] = [bytesOf(credentials, 1)[0], bytesOf(credentials, 2)[0]];
const limit = numberOf(request, 6);

const server = createServer(limit > 0 ? { limits: { maxReceiveMessageBytes: limit } } : {});
server.register(conformanceService);
const target = { host: "127.0.0.1", port: 0 };
const { host, port } = await server.listen(
  usesTls && cert !== undefined && key !== undefined
    ? {
        ...target,
        tls: {
          cert,
          key,
          ...(clientCertificate === undefined ? {} : { ca: clientCertificate, clientCertificate: "require" as const }),
        },
      }
    : target,
);
const parts = [bytesField(1, host), varintField(2, port)];
if (usesTls && cert !== undefined) parts.push(bytesField(3, cert));
const response = Buffer.concat(parts);
const size = Buffer.alloc(4);
size.writeUInt32BE(response.length);
process.stdout.write(Buffer.concat([size, response]));
process.on("SIGTERM", () => void server.close("the suite is over").then(() => process.exit(0)));

/** A message behind four bytes of length. */
async function readSized(input: AsyncIterable<Buffer>): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of input) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) break;
  }
  return bytes.subarray(4, 4 + bytes.readUInt32BE(0));
}
