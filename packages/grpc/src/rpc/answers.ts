import { FixedFields } from "../http2/connection/fixed-fields.ts";
import type { Stream, StreamHandler } from "../http2/connection/stream.ts";
import { acceptedEncodings } from "./compression.ts";
import { percentEncode } from "./percent-encoding.ts";
import type { StatusCode } from "./status.ts";

const grpcAnswer = [":status", "200", "content-type", "application/grpc"];

/** Response headers of a call. */
export const answerHeaders: FixedFields = new FixedFields([...grpcAnswer, "grpc-accept-encoding", acceptedEncodings]);
export const gzipAnswerHeaders: FixedFields = new FixedFields([
  ...grpcAnswer,
  "grpc-accept-encoding",
  acceptedEncodings,
  "grpc-encoding",
  "gzip",
]);
/** Trailers of a call that went well. */
export const okTrailers: FixedFields = new FixedFields(["grpc-status", "0"]);
/** In front of a status that comes without a response. */
export const trailersOnly: FixedFields = new FixedFields(grpcAnswer);
const noFields: FixedFields = new FixedFields([]);

/** A status as fields, then metadata. */
export function statusFields(code: StatusCode, details: string, metadata: readonly string[] = []): string[] {
  const fields = ["grpc-status", String(code)];
  if (details !== "") fields.push("grpc-message", percentEncode(details));
  fields.push(...metadata);
  return fields;
}

/** Ends a stream with a status that is not OK, behind what was written, or as the whole response. */
export function endWithStatus(stream: Stream, code: StatusCode, details: string, metadata: readonly string[]): void {
  const fields = statusFields(code, details, metadata);
  if (stream.headersSent) stream.sendTrailers(noFields, fields);
  else stream.sendHeaders(trailersOnly, fields, true);
}

/** Ends a stream well that may have had no message. */
export function endWithOk(stream: Stream, headers: readonly string[], trailers: readonly string[]): void {
  stream.sendHeaders(trailersOnly, headers, false);
  stream.sendTrailers(okTrailers, trailers);
}

/** Trailing metadata, or none: what the client would refuse takes the status with it. */
export function fitting(trailers: readonly string[], maxListBytes: number): readonly string[] {
  let bytes = 0;
  for (const text of trailers) bytes += text.length + 16;
  const statusBytes = 1024;
  return bytes + statusBytes <= maxListBytes ? trailers : [];
}

/** Answers a request that is not gRPC once it has come whole. */
export class PlainAnswer implements StreamHandler {
  readonly #stream: Stream;
  readonly #status: number;
  readonly #text: string;

  constructor(stream: Stream, status: number, text: string) {
    this.#stream = stream;
    // They may be many bytes, and nobody will look at them while the rest of the request is waited for.
    stream.request = { ...stream.request, path: "", authority: "", fields: [] };
    this.#status = status;
    this.#text = text;
  }

  onData(_bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.#stream.consume(end - start);
    if (last) this.answer();
  }

  /** Answers now, whether the request has come whole or not. */
  answer(): void {
    const stream = this.#stream;
    const body = Buffer.from(`${this.#text}\n`);
    const fields = [":status", String(this.#status), "content-type", "text/plain; charset=utf-8"];
    fields.push("content-length", String(body.length));
    if (this.#status === 405) fields.push("allow", "POST");
    const bodiless = stream.request.method === "HEAD";
    stream.sendHeaders(noFields, fields, bodiless);
    if (bodiless) return;
    stream.sendBytes(body);
    stream.end();
  }

  onReset(): void {}
  onSent(): void {}
  onWritable(): void {}
}
