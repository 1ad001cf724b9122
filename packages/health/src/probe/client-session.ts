import { type ClientHttp2Session, connect, type SecureClientSessionOptions } from "node:http2";
import { isIPv6 } from "node:net";
import type { CheckedProbeOptions } from "./probe-options.ts";
import type { ConnectFailure } from "./probe-result.ts";

/** Connects; whoever gets the session destroys it. A failed one is destroyed here. The signal gives up. */
export async function openSession(
  options: CheckedProbeOptions,
  signal?: AbortSignal,
): Promise<{ readonly t: "open"; readonly session: ClientHttp2Session } | ConnectFailure> {
  let session: ClientHttp2Session;
  try {
    session = connect(originOf(options), tlsOptions(options));
  } catch (error) {
    // A certificate or key that is not PEM is found here.
    return { t: "connect-failed", reason: "error", message: describe(error) };
  }
  const failure = await connected(session, options.connectTimeoutMs, signal);
  if (failure === undefined) return { t: "open", session };
  session.destroy();
  return failure;
}

/** Resolves when the server's SETTINGS came, so that a listener that speaks something else is no connection. */
function connected(
  session: ClientHttp2Session,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<ConnectFailure | undefined> {
  return new Promise((resolve) => {
    const settle = (failure: ConnectFailure | undefined): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      resolve(failure);
    };
    const giveUp = (): void => settle({ t: "connect-failed", reason: "error", message: "Given up by the caller" });
    signal?.addEventListener("abort", giveUp);
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

/** The five bytes before each message: not compressed, length (PROTOCOL-HTTP2, "Length-Prefixed-Message"). */
export function framed(message: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** Without a deadline: a call that should have one adds `grpc-timeout`. */
export function requestHeaders(options: CheckedProbeOptions, method: "Check" | "Watch"): Record<string, string> {
  return {
    ...options.metadata,
    ":method": "POST",
    ":path": `/grpc.health.v1.Health/${method}`,
    ":authority": options.tls?.serverName ?? authorityOf(options),
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": options.userAgent,
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
export function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join("; ");
  return error instanceof Error ? error.message : String(error);
}
