import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import type { ServingStatus } from "../serving-status.ts";
import { StatusCode } from "../status-error.ts";
import { encodeHealthCheckRequest } from "../wire/health-check-request.ts";
import { describe, framed, openSession, requestHeaders } from "./client-session.ts";
import { type ClosedStream, failed, failureOfStream, readMessage } from "./grpc-response.ts";
import { MessageStream, MessageTooLongError } from "./message-stream.ts";
import { checkProbeOptions, type ProbeOptions } from "./probe-options.ts";
import type { RpcFailure, WatchEnd } from "./probe-result.ts";

/** A HealthCheckResponse is two bytes; this leaves room for fields of a later version. */
const maxMessageBytes = 64 * 1024;

export interface WatchHealthOptions extends ProbeOptions {
  /** Time for the first status once connected, which a server sends at once. 1 to 99,999,999, default 1000. */
  readonly rpcTimeoutMs?: number;
  /**
   * Called with the current status and then each change. Until what it returns has resolved nothing more is read, and the
   * server holds the latest status back; what it throws ends the Watch and rejects.
   */
  readonly onStatus: (status: ServingStatus) => void | Promise<void>;
  /** Ends the Watch. */
  readonly signal?: AbortSignal;
}

/**
 * Watches one name's health on a connection of its own, which it closes at the end: connects, calls
 * `grpc.health.v1.Health/Watch` and stays, through NOT_SERVING and SERVICE_UNKNOWN and a server's GOAWAY, until the
 * signal fires, the server ends the call or the connection breaks. It does not connect again: the end is an answer.
 *
 * Rejects only with what `onStatus` threw, and with a RangeError or TypeError for options that cannot be used.
 */
export async function watchHealth(options: WatchHealthOptions): Promise<WatchEnd> {
  const checked = checkProbeOptions(options);
  const { onStatus, signal = new AbortController().signal } = options;
  if (signal.aborted) return { t: "stopped" };
  const opened = await openSession(checked, signal);
  if (opened.t !== "open") return signal.aborted ? { t: "stopped" } : opened;
  const { session } = opened;
  let stream: ClientHttp2Stream;
  try {
    stream = session.request(requestHeaders(checked, "Watch"));
  } catch (error) {
    session.destroy();
    return { t: "connection-lost", message: `The connection closed before the call: ${describe(error)}` };
  }
  const stop = (): void => stream.close(constants.NGHTTP2_CANCEL);
  signal.addEventListener("abort", stop);
  try {
    stream.end(framed(encodeHealthCheckRequest({ service: checked.service })));
    return await readStatuses(session, stream, { signal, onStatus, firstTimeoutMs: checked.rpcTimeoutMs });
  } finally {
    signal.removeEventListener("abort", stop);
    session.destroy();
  }
}

interface Reading {
  readonly signal: AbortSignal;
  readonly onStatus: (status: ServingStatus) => void | Promise<void>;
  readonly firstTimeoutMs: number;
}

async function readStatuses(
  session: ClientHttp2Session,
  stream: ClientHttp2Stream,
  { signal, onStatus, firstTimeoutMs }: Reading,
): Promise<WatchEnd> {
  const closed = closedStream(session, stream);
  let fault: RpcFailure | undefined;
  const giveUp = (failure: RpcFailure): void => {
    fault = failure;
    stream.close(constants.NGHTTP2_CANCEL);
  };
  const timer = setTimeout(() => {
    giveUp(failed(StatusCode.DEADLINE_EXCEEDED, `No status within ${firstTimeoutMs} ms`));
  }, firstTimeoutMs);
  try {
    for await (const bytes of messages(stream)) {
      clearTimeout(timer);
      if (signal.aborted || fault !== undefined) break;
      const answer = readMessage(bytes);
      if (answer.t === "rpc-failed") {
        giveUp(answer);
        break;
      }
      await onStatus(answer.status);
    }
  } catch (error) {
    if (!(error instanceof MessageTooLongError)) throw error;
    giveUp(failed(StatusCode.RESOURCE_EXHAUSTED, error.message));
  } finally {
    clearTimeout(timer);
  }
  if (signal.aborted) return { t: "stopped" };
  if (fault !== undefined) return fault;
  const end = await closed;
  const failure = failureOfStream(end);
  if (failure === undefined) return failed(StatusCode.OK, "The server ended the Watch without an error");
  const hasStatus = (end.trailers ?? end.headers)?.["grpc-status"] !== undefined;
  return end.connectionLost && !hasStatus ? { t: "connection-lost", message: failure.message } : failure;
}

/** The stream's messages, read as fast as they are asked for. Ends where the stream does, however it does. */
async function* messages(stream: ClientHttp2Stream): AsyncGenerator<Buffer, void, undefined> {
  const cut = new MessageStream(maxMessageBytes);
  const chunks = stream.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  while (true) {
    let next: IteratorResult<Buffer>;
    try {
      next = await chunks.next();
    } catch {
      // How it ended is read from the closed stream.
      return;
    }
    if (next.done === true) return;
    yield* cut.push(next.value);
  }
}

function closedStream(session: ClientHttp2Session, stream: ClientHttp2Stream): Promise<Omit<ClosedStream, "body">> {
  let headers: ClosedStream["headers"];
  let trailers: ClosedStream["trailers"];
  stream.on("response", (received) => {
    headers = received;
  });
  stream.on("trailers", (received) => {
    trailers = received;
  });
  stream.on("error", () => {});
  return new Promise((resolve) => {
    stream.once("close", () => {
      const resetCode = stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
      resolve({ headers, trailers, resetCode, connectionLost: session.destroyed || session.socket.destroyed });
    });
  });
}
