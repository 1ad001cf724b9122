// A server with the interop suite's service, for suites that connect to a port of their own accord.
// Prints the bound port. With three PEM files (certificate, key, client roots) it speaks TLS; the roots may be "-".
import { readFileSync } from "node:fs";
import { createServer } from "@tokenwire/grpc";
import { interopService } from "./interop-service.ts";

const [cert, key, ca] = process.argv.slice(2).map((file) => (file === "-" ? undefined : readFileSync(file)));
const server = createServer({ onEvent: (event) => event.t === "handler-failed" && console.error(event) });
server.register(interopService);
const tls =
  cert === undefined || key === undefined
    ? undefined
    : { cert, key, ...(ca === undefined ? {} : { ca, clientCertificate: "require" as const }) };
const { port } = await server.listen({ host: "127.0.0.1", port: 0, ...(tls === undefined ? {} : { tls }) });
console.log(String(port));
process.on("SIGTERM", () => void server.close("the suite is over").then(() => process.exit(0)));
