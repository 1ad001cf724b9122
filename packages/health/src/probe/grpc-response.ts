import { constants } from "node:http2";
import type { ServingStatus } from "../serving-status.ts";
import { StatusCode } from "../status-error.ts";
import { decodeHealthCheckResponse } from "../wire/health-check-response.ts";
import type { RpcFailure } from "./probe-result.ts";

/** Header fields as node:http2 hands them out. */
export type ResponseHeaders = Readonly<Record<string, number | string | readonly string[] | undefined>>;

/** A stream after its end, as HTTP/2 saw it. */
export interface ClosedStream {
  readonly headers: ResponseHeaders | undefined;
  readonly trailers: ResponseHeaders | undefined;
  readonly body: Uint8Array;
  /** Error code of RST_STREAM; 0 for an ordinary end. */
  readonly resetCode: number;
  /** True when the connection ended before the stream did. */
  readonly connectionLost: boolean;
}

/** What a Check came to. `trailers` is metadata that the server sent beside its answer. */
export type CheckAnswer =
  | { readonly t: "status"; readonly status: ServingStatus; readonly trailers: Readonly<Record<string, string>> }
  | RpcFailure;

const maxMessageChars = 4096;

/**
 * Reads the answer of a Check, or why there is none.
 *
 * Source: grpc/grpc, doc/PROTOCOL-HTTP2.md (Responses, Errors) and doc/http-grpc-status-mapping.md. A call is OK only
 * with grpc-status 0, HTTP 200, a gRPC content type and exactly one whole uncompressed message.
 */
export function readCheckResponse(stream: ClosedStream): CheckAnswer {
  const failure = failureOfStream(stream);
  if (failure !== undefined) return failure;
  const answer = readMessage(stream.body);
  return answer.t === "status" ? { ...answer, trailers: customMetadata(stream.trailers ?? {}) } : answer;
}

/** Why a stream that has ended is a failed call, or undefined when its grpc-status is OK. */
export function failureOfStream(stream: Omit<ClosedStream, "body">): RpcFailure | undefined {
  const { headers, trailers } = stream;
  // An answer without messages may carry its status in the headers ("Trailers-Only").
  const statusHeaders = trailers?.["grpc-status"] === undefined ? headers : trailers;
  const grpcStatus = statusHeaders?.["grpc-status"];
  if (grpcStatus !== undefined && grpcStatus !== "0") {
    return failureOf(String(grpcStatus), String(statusHeaders?.["grpc-message"] ?? ""));
  }
  if (headers === undefined) return brokenStream(stream);

  const httpStatus = Number(headers[":status"]);
  if (httpStatus !== 200) return failed(codeOfHttpStatus(httpStatus), `The server answered HTTP ${httpStatus}`);
  const contentType = String(headers["content-type"] ?? "");
  if (!/^application\/grpc($|[+;])/.test(contentType)) {
    return failed(
      StatusCode.UNKNOWN,
      `The server does not answer as gRPC: content type ${JSON.stringify(contentType)}`,
    );
  }
  return grpcStatus === undefined ? brokenStream(stream) : undefined;
}

/** What a server said beside its answer, safe to print: ASCII values of keys that gRPC does not use itself. */
function customMetadata(headers: ResponseHeaders): Record<string, string> {
  const entries = Object.entries(headers).flatMap(([key, value]): [string, string][] => {
    if (typeof value !== "string" || key.startsWith("grpc-") || key.startsWith(":") || key.endsWith("-bin")) return [];
    return [[key, printable(value)]];
  });
  return Object.fromEntries(entries);
}

/** Reads one framed message, the whole of `body`. */
export function readMessage(body: Uint8Array): { t: "status"; status: ServingStatus } | RpcFailure {
  if (body.length === 0) return failed(StatusCode.INTERNAL, "The server answered OK without a message");
  if (body[0] === 1) return failed(StatusCode.INTERNAL, "The server compressed its answer without being asked to");
  const length = body.length < 5 ? -1 : new DataView(body.buffer, body.byteOffset).getUint32(1);
  if (body[0] !== 0 || length !== body.length - 5) {
    return failed(StatusCode.INTERNAL, "The server's answer is not exactly one whole message");
  }
  try {
    return { t: "status", status: decodeHealthCheckResponse(body.subarray(5)).status };
  } catch (error) {
    return failed(StatusCode.INTERNAL, error instanceof Error ? error.message : String(error));
  }
}

function brokenStream({ resetCode, connectionLost }: Omit<ClosedStream, "body">): RpcFailure {
  if (connectionLost) return failed(StatusCode.UNAVAILABLE, "The connection closed before the answer was complete");
  if (resetCode === constants.NGHTTP2_NO_ERROR) {
    return failed(StatusCode.UNKNOWN, "The server ended the call without a grpc-status");
  }
  return failed(codeOfReset(resetCode), `The server reset the call with HTTP/2 error code ${resetCode}`);
}

function failureOf(status: string, message: string): RpcFailure {
  const code = /^(0|[1-9]\d?)$/.test(status) ? Number(status) : Number.NaN;
  if (code >= 0 && code <= 16) return failed(code, decodeGrpcMessage(message));
  return failed(StatusCode.UNKNOWN, `The server's grpc-status is no status code: ${status}`);
}

/** Percent-decoding as PROTOCOL-HTTP2 wants it: what is not valid is kept, never an error. */
function decodeGrpcMessage(message: string): string {
  return message.slice(0, 3 * maxMessageChars).replace(/(%[0-9A-Fa-f]{2})+/g, (escaped) => {
    return Buffer.from(escaped.replaceAll("%", ""), "hex").toString("utf8");
  });
}

/** Makes a failure whose message is safe to print, whatever the server sent. */
export function failed(code: number, message: string): RpcFailure {
  return { t: "rpc-failed", code, message: printable(message) };
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, " ").slice(0, maxMessageChars);
}

function codeOfHttpStatus(status: number): number {
  switch (status) {
    case 400:
      return StatusCode.INTERNAL;
    case 401:
      return StatusCode.UNAUTHENTICATED;
    case 403:
      return StatusCode.PERMISSION_DENIED;
    case 404:
      return StatusCode.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return StatusCode.UNAVAILABLE;
    default:
      return StatusCode.UNKNOWN;
  }
}

function codeOfReset(code: number): number {
  switch (code) {
    case constants.NGHTTP2_REFUSED_STREAM:
      return StatusCode.UNAVAILABLE;
    case constants.NGHTTP2_CANCEL:
      return StatusCode.CANCELLED;
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return StatusCode.RESOURCE_EXHAUSTED;
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return StatusCode.PERMISSION_DENIED;
    default:
      return StatusCode.INTERNAL;
  }
}
