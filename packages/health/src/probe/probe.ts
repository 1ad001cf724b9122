import { type ClientHttp2Session, connect, constants, type SecureClientSessionOptions } from "node:http2";
import { isIPv6 } from "node:net";
import { StatusCode } from "../status-error.ts";
import { encodeHealthCheckRequest } from "../wire/health-check-request.ts";
import { type ClosedStream, failed, readCheckResponse } from "./grpc-response.ts";
import { type CheckedProbeOptions, checkProbeOptions, type ProbeOptions } from "./probe-options.ts";
import type { ConnectFailure, ProbeResult, RpcFailure } from "./probe-result.ts";

/** A HealthCheckResponse is two bytes; this leaves room for fields of a later version. */
const maxBodyBytes = 64 * 1024;

/**
 * Asks a server once: connects, calls `grpc.health.v1.Health/Check`, closes. Everything that can go wrong on the way is
 * an answer; rejects only with a RangeError or TypeError for options that cannot be used.
 *
 * Each probe opens its own connection, as a kubelet does, and leaves nothing open.
 */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const checked = checkProbeOptions(options);
  const startedAtMs = performance.now();
  let session: ClientHttp2Session;
  try {
    session = connect(originOf(checked), tlsOptions(checked));
  } catch (error) {
    // A certificate or key that is not PEM is found here.
    return { t: "connect-failed", reason: "error", message: describe(error) };
  }
  try {
    const failure = await connected(session, checked.connectTimeoutMs);
    if (failure !== undefined) return failure;
    const connectedAtMs = performance.now();
    const answer = await check(session, checked);
    if (answer.t !== "status") return answer;
    return { ...answer, connectMs: connectedAtMs - startedAtMs, rpcMs: performance.now() - connectedAtMs };
  } finally {
    session.destroy();
  }
}

/** Resolves when the server's SETTINGS came, so that a listener that speaks something else is no connection. */
function connected(session: ClientHttp2Session, timeoutMs: number): Promise<ConnectFailure | undefined> {
  return new Promise((resolve) => {
    const settle = (failure: ConnectFailure | undefined): void => {
      clearTimeout(timer);
      resolve(failure);
    };
    const timer = setTimeout(() => {
      settle({ t: "connect-failed", reason: "timeout", message: `No HTTP/2 connection within ${timeoutMs} ms` });
    }, timeoutMs);
    // Stays for the session's whole life: an error event without a listener would end the process.
    session.on("error", (error) => settle({ t: "connect-failed", reason: "error", message: describe(error) }));
    session.once("close", () => {
      const message = "The connection closed before the server answered as HTTP/2";
      settle({ t: "connect-failed", reason: "error", message });
    });
    session.once("remoteSettings", () => settle(undefined));
  });
}

function check(
  session: ClientHttp2Session,
  options: CheckedProbeOptions,
): Promise<ReturnType<typeof readCheckResponse>> {
  return new Promise((resolve) => {
    const settle = (answer: ReturnType<typeof readCheckResponse> | RpcFailure): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    const timer = setTimeout(() => {
      settle(failed(StatusCode.DEADLINE_EXCEEDED, `No answer within ${options.rpcTimeoutMs} ms`));
    }, options.rpcTimeoutMs);

    let stream: ReturnType<ClientHttp2Session["request"]>;
    try {
      stream = session.request(requestHeaders(options));
    } catch (error) {
      settle(failed(StatusCode.UNAVAILABLE, `The connection closed before the call: ${describe(error)}`));
      return;
    }
    let headers: ClosedStream["headers"];
    let trailers: ClosedStream["trailers"];
    const chunks: Buffer[] = [];
    let bodyBytes = 0;
    stream.on("response", (received) => {
      headers = received;
    });
    stream.on("trailers", (received) => {
      trailers = received;
    });
    stream.on("data", (chunk: Buffer) => {
      bodyBytes += chunk.length;
      if (bodyBytes <= maxBodyBytes) chunks.push(chunk);
      else settle(failed(StatusCode.RESOURCE_EXHAUSTED, `The server's answer is longer than ${maxBodyBytes} bytes`));
    });
    // What happened is read from the stream once it is closed.
    stream.on("error", () => {});
    stream.once("close", () => {
      const connectionLost = session.destroyed || session.closed;
      const resetCode = stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
      settle(readCheckResponse({ headers, trailers, body: Buffer.concat(chunks), resetCode, connectionLost }));
    });
    stream.end(framed(encodeHealthCheckRequest({ service: options.service })));
  });
}

/** The five bytes before each message: not compressed, length (PROTOCOL-HTTP2, "Length-Prefixed-Message"). */
function framed(message: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

function requestHeaders(options: CheckedProbeOptions): Record<string, string> {
  return {
    ...options.metadata,
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    ":authority": options.tls?.serverName ?? authorityOf(options),
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": options.userAgent,
    "grpc-timeout": `${options.rpcTimeoutMs}m`,
  };
}

function authorityOf({ host, port }: CheckedProbeOptions): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

function originOf(options: CheckedProbeOptions): string {
  return `${options.tls === undefined ? "http" : "https"}://${authorityOf(options)}`;
}

function tlsOptions({ tls }: CheckedProbeOptions): SecureClientSessionOptions {
  if (tls === undefined) return {};
  return {
    rejectUnauthorized: tls.insecureSkipVerify !== true,
    ...(tls.ca !== undefined && { ca: Buffer.from(tls.ca) }),
    ...(tls.cert !== undefined && { cert: Buffer.from(tls.cert) }),
    ...(tls.key !== undefined && { key: Buffer.from(tls.key) }),
    ...(tls.serverName !== undefined && { servername: tls.serverName }),
  };
}

/** A name with several addresses fails as an AggregateError whose own message is empty. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join("; ");
  return error instanceof Error ? error.message : String(error);
}
