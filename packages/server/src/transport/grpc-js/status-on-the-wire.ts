import { Metadata } from "@grpc/grpc-js";
import { GrpcStatusError, StatusCode, type Trailers } from "../../rpc/status.ts";

/** A client's header limit is 8 KiB for all trailers in gRPC C-core (GRPC_ARG_MAX_METADATA_SIZE), so one takes at most half. */
const maxEncodedDetailsBytes = 4096;
const encodedEllipsisBytes = 9;
const maxTrailerValueBytes = 1024;
const trailerKey = /^[0-9a-z_.-]+$/;
/** Names that the transport writes itself, and those that HTTP/2 forbids (RFC 9113 section 8.2.2). */
const reservedKeys: ReadonlySet<string> = new Set([
  "grpc-status",
  "grpc-message",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/**
 * Reads a status out of what a handler threw: a {@link GrpcStatusError}, or an error of that shape from another copy
 * of the class. Undefined for anything else, which is a bug of ours.
 */
export function statusOf(thrown: unknown): GrpcStatusError | undefined {
  if (thrown instanceof GrpcStatusError) return thrown;
  if (!(thrown instanceof Error) || thrown.name !== "GrpcStatusError" || !("code" in thrown)) return undefined;
  const code = Object.values(StatusCode).find((known) => known === thrown.code);
  if (code === undefined) return undefined;
  const trailers = "trailers" in thrown && typeof thrown.trailers === "object" ? (thrown.trailers as Trailers) : {};
  return new GrpcStatusError(code, thrown.message, { trailers: trailers ?? {}, cause: thrown });
}

/**
 * Makes a status sentence safe to send. grpc-js percent-encodes it with `encodeURI`, which throws on a lone surrogate
 * (inside an event, so that nobody could catch it), and a client drops a response whose trailers are too long.
 */
export function wireDetails(details: string): string {
  const wellFormed = details.toWellFormed();
  if (encodeURI(wellFormed).length <= maxEncodedDetailsBytes) return wellFormed;
  let kept = wellFormed.slice(0, maxEncodedDetailsBytes).toWellFormed();
  while (encodeURI(kept).length > maxEncodedDetailsBytes - encodedEllipsisBytes) {
    kept = kept.slice(0, Math.floor(kept.length * 0.9)).toWellFormed();
  }
  return `${kept}…`;
}

/**
 * Adds one trailer. Characters that a header cannot carry become `?`, values longer than 1,024 are cut.
 * Throws a TypeError for a key that is not lower-case ASCII, is binary (`-bin`) or belongs to the transport.
 */
export function addTrailer(trailers: Metadata, key: string, value: string): void {
  if (!trailerKey.test(key) || key.endsWith("-bin") || reservedKeys.has(key)) {
    throw new TypeError(`"${key}" cannot be the name of a trailer`);
  }
  trailers.set(key, value.slice(0, maxTrailerValueBytes).replace(/[^ -~]/g, "?"));
}

/** All trailers of a response: those the handler set on the call, then those of its error. */
export function wireTrailers(set: Metadata | undefined, ofError: Trailers): Metadata {
  const trailers = set?.clone() ?? new Metadata();
  for (const [key, value] of Object.entries(ofError)) addTrailer(trailers, key, value);
  return trailers;
}
