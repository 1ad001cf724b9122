import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { promptIdsOf } from "../harness/raw-call.ts";

/** Stands between the gateway and a worker, passes everything on, and notes the prompts of Generate. */
export interface RecordingProxy {
  /** `host:port` for the gateway. */
  readonly target: string;
  /** Token ids of the prompts since the last call. */
  takePrompts(): number[][];
  close(): Promise<void>;
}

/** Headers of one hop (RFC 9113 section 8.2.2), and those that the next hop writes itself. */
const ownHeaders = new Set(["connection", "host", ":authority", ":scheme"]);

export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const upstream = connect(`http://${target}`);
  let prompts: number[][] = [];
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    passOn(upstream, stream, headers);
    if (!headers[":path"]?.endsWith("/Generate")) return;
    const body: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => body.push(chunk));
    stream.on("end", () => prompts.push(promptIdsOf(Buffer.concat(body).subarray(5))));
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.listen(0, "127.0.0.1");
  await Promise.all([once(server, "listening"), once(upstream, "connect")]);
  return {
    target: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    takePrompts() {
      const taken = prompts;
      prompts = [];
      return taken;
    },
    async close() {
      for (const session of sessions) session.destroy();
      upstream.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function passOn(upstream: ClientHttp2Session, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const passed = Object.entries(headers).filter(([name]) => !ownHeaders.has(name));
  const call = upstream.request(Object.fromEntries(passed));
  let trailers: IncomingHttpHeaders = {};
  call.on("response", (answer, flags) => {
    // Trailers alone: a stream that ends with its first headers.
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    stream.respond(answer, endStream ? { endStream } : { waitForTrailers: true });
  });
  call.on("trailers", (given) => {
    trailers = given;
  });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.on("close", () => call.close(stream.rstCode));
  stream.on("error", () => call.close());
  call.on("error", () => stream.close());
  stream.pipe(call);
  call.pipe(stream);
}
