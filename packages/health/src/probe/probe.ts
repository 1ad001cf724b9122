import { type ClientHttp2Session, constants } from "node:http2";
import { StatusCode } from "../status-error.ts";
import { encodeHealthCheckRequest } from "../wire/health-check-request.ts";
import { describe, framed, openSession, requestHeaders } from "./client-session.ts";
import { type CheckAnswer, type ClosedStream, failed, readCheckResponse } from "./grpc-response.ts";
import { type CheckedProbeOptions, checkProbeOptions, type ProbeOptions } from "./probe-options.ts";
import type { ProbeResult } from "./probe-result.ts";

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
  const opened = await openSession(checked);
  if (opened.t !== "open") return opened;
  try {
    const connectedAtMs = performance.now();
    const answer = await check(opened.session, checked);
    if (answer.t !== "status") return answer;
    return { ...answer, connectMs: connectedAtMs - startedAtMs, rpcMs: performance.now() - connectedAtMs };
  } finally {
    opened.session.destroy();
  }
}

function check(session: ClientHttp2Session, options: CheckedProbeOptions): Promise<CheckAnswer> {
  return new Promise((resolve) => {
    const settle = (answer: CheckAnswer): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    const timer = setTimeout(() => {
      settle(failed(StatusCode.DEADLINE_EXCEEDED, `No answer within ${options.rpcTimeoutMs} ms`));
    }, options.rpcTimeoutMs);

    let stream: ReturnType<ClientHttp2Session["request"]>;
    try {
      stream = session.request({ ...requestHeaders(options, "Check"), "grpc-timeout": `${options.rpcTimeoutMs}m` });
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
