import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { Metrics } from "./metrics.ts";

export interface MetricsServer {
  readonly host: string;
  readonly port: number;
  /** Ends the answers in flight and closes the port. Idempotent. */
  close(): Promise<void>;
}

/** Nobody who reads metrics needs more of either. */
const maxConnections = 64;
const timeoutMs = 10_000;

/**
 * Serves metrics on plain HTTP under `/metrics`. Port 0 takes a free one. Rejects with the system's error when the address
 * cannot be bound; nothing is left open then.
 */
export async function startMetricsServer(
  metrics: Metrics,
  address: { readonly host: string; readonly port: number },
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    void answer(metrics, request.method ?? "", request.url ?? "", response);
  });
  server.maxConnections = maxConnections;
  server.requestTimeout = timeoutMs;
  server.headersTimeout = timeoutMs;
  server.keepAliveTimeout = timeoutMs;
  server.listen(address.port, address.host);
  await once(server, "listening");
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
  return { host: address.host, port, close: () => close(server) };
}

async function answer(metrics: Metrics, method: string, url: string, response: ServerResponse): Promise<void> {
  const isKnown = url === "/metrics" || url.startsWith("/metrics?");
  if (!isKnown || (method !== "GET" && method !== "HEAD")) {
    response.writeHead(isKnown ? 405 : 404, { "content-type": "text/plain" });
    response.end(isKnown ? "Only GET.\n" : "Metrics are under /metrics.\n");
    return;
  }
  try {
    const { text, contentType } = await metrics.read();
    response.writeHead(200, { "content-type": contentType });
    response.end(text);
  } catch (thrown) {
    response.writeHead(500, { "content-type": "text/plain" });
    response.end(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  }
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
