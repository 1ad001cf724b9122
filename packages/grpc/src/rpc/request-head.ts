import type { RequestFields } from "../http2/connection/request-fields.ts";
import { type Encoding, isEncoding } from "./compression.ts";
import { fieldBytes } from "./metadata.ts";
import { parseTimeoutMs } from "./timeout.ts";

/** What a request's fields say to gRPC. */
export type RequestHead =
  | {
      readonly t: "call";
      /** Undefined without a `grpc-timeout`. */
      readonly timeoutMs: number | undefined;
      readonly encoding: Encoding;
      /** Value of `grpc-accept-encoding`, or empty. */
      readonly acceptEncoding: string;
      /** What the metadata holds beyond the usual. */
      readonly metadataBytes: number;
    }
  /** Not gRPC: answered in plain HTTP (grpc/grpc, doc/PROTOCOL-HTTP2.md, "Requests"). */
  | { readonly t: "http"; readonly status: 405 | 415; readonly text: string }
  /** gRPC that cannot be served. */
  | { readonly t: "bad-timeout"; readonly value: string }
  | { readonly t: "bad-encoding"; readonly value: string };

/**
 * As much metadata as calls usually have is on no account, so that a client that fills the server's memory cannot have
 * the small calls of others refused, their health checks first. It is bounded by the number of streams.
 */
const freeMetadataBytes = 1024;

const contentType = /^application\/grpc(\+proto)?(;|$)/i;

/** Reads what gRPC needs out of a request's fields. */
export function readRequestHead(request: RequestFields): RequestHead {
  if (request.method !== "POST") {
    return { t: "http", status: 405, text: "This is a gRPC server: requests are made with POST." };
  }
  let type = "";
  let timeout: string | undefined;
  let encoding = "identity";
  let acceptEncoding = "";
  const { fields } = request;
  for (let i = 0; i < fields.length; i += 2) {
    const value = fields[i + 1] as string;
    switch (fields[i]) {
      case "content-type":
        type = value;
        break;
      case "grpc-timeout":
        timeout = value;
        break;
      case "grpc-encoding":
        encoding = value;
        break;
      case "grpc-accept-encoding":
        acceptEncoding = value;
        break;
    }
  }
  if (type !== "application/grpc" && !contentType.test(type)) {
    return { t: "http", status: 415, text: "This is a gRPC server: the content type is application/grpc." };
  }
  if (!isEncoding(encoding)) return { t: "bad-encoding", value: encoding };
  const metadataBytes = Math.max(0, fieldBytes(fields) - freeMetadataBytes);
  if (timeout === undefined) return { t: "call", timeoutMs: undefined, encoding, acceptEncoding, metadataBytes };
  const timeoutMs = parseTimeoutMs(timeout);
  if (timeoutMs === undefined) return { t: "bad-timeout", value: timeout };
  return { t: "call", timeoutMs, encoding, acceptEncoding, metadataBytes };
}
