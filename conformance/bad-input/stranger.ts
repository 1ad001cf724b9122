import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";

/** How a call ended. Without a status it was cut, by this client or with its connection. */
export interface Ended {
  readonly status: number | undefined;
  readonly details: string;
  readonly http: number | undefined;
  readonly messages: readonly Buffer[];
  /** True when nothing ended it within its limit: what must never be. */
  readonly hung: boolean;
}

export interface Manner {
  readonly headers?: Record<string, string>;
  /** Sent as it is, in place of one framed message. */
  readonly body?: Buffer;
  /** The client keeps its half of the stream open. */
  readonly keepsOpen?: boolean;
  readonly cancelAfterMs?: number;
  readonly cancelAfterMessages?: number;
  /** Reads nothing for so long. */
  readonly readsAfterMs?: number;
  readonly limitMs?: number;
}

/** A gRPC client on nothing but node:http2, which can also do what no gRPC client would. */
export class Stranger {
  readonly #session: ClientHttp2Session;

  constructor(target: string, initialWindowSize = 65_535) {
    this.#session = connect(`http://${target}`, { settings: { initialWindowSize } });
    this.#session.on("error", () => undefined);
    this.#session.setMaxListeners(0);
  }

  call(path: string, message: Buffer, manner: Manner = {}): Promise<Ended> {
    if (this.#session.destroyed || this.#session.closed) return Promise.resolve(cut);
    const stream = this.#session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...manner.headers,
    });
    const ended = endOf(stream, manner);
    stream.write(manner.body ?? framed(message));
    if (manner.keepsOpen !== true) stream.end();
    return ended;
  }

  /** A stream with these first bytes of a body, never ended: for a client that vanishes or resets it. */
  begin(path: string, body: Buffer): ClientHttp2Stream {
    const headers = { "content-type": "application/grpc", te: "trailers" };
    const stream = this.#session.request({ ":method": "POST", ":path": path, ...headers });
    stream.on("error", () => undefined);
    if (body.length > 0) stream.write(body);
    return stream;
  }

  /** Breaks the connection. */
  leave(): void {
    this.#session.destroy();
  }
}

const cut: Ended = { status: undefined, details: "", http: undefined, messages: [], hung: false };

export function framed(message: Buffer, flags = 0): Buffer {
  const prefix = Buffer.from([flags, 0, 0, 0, 0]);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function endOf(stream: ClientHttp2Stream, manner: Manner): Promise<Ended> {
  const messages: Buffer[] = [];
  let status: number | undefined;
  let details = "";
  let http: number | undefined;
  let hung = false;
  let unread: Buffer[] = [];
  let unreadBytes = 0;
  const take = (headers: IncomingHttpHeaders): void => {
    if (headers["grpc-status"] === undefined) return;
    status = Number(headers["grpc-status"]);
    details = decodeURIComponent(String(headers["grpc-message"] ?? ""));
  };
  const cancel = (): void => stream.close(constants.NGHTTP2_CANCEL);
  const split = (): void => {
    let rest = Buffer.concat(unread);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      messages.push(rest.subarray(5, end));
      rest = rest.subarray(end);
    }
    unread = [rest];
    unreadBytes = rest.length;
  };
  stream.on("response", (headers) => {
    http = headers[":status"];
    take(headers);
  });
  stream.on("trailers", take);
  stream.on("error", () => undefined);
  stream.on("data", (chunk: Buffer) => {
    unread.push(chunk);
    unreadBytes += chunk.length;
    if (unreadBytes >= 5) split();
    if (manner.cancelAfterMessages !== undefined && messages.length >= manner.cancelAfterMessages) cancel();
  });
  if (manner.readsAfterMs !== undefined) {
    stream.pause();
    setTimeout(() => stream.resume(), manner.readsAfterMs);
  }
  if (manner.cancelAfterMs !== undefined) setTimeout(cancel, manner.cancelAfterMs);
  return new Promise((resolve) => {
    const limit = setTimeout(() => {
      hung = true;
      cancel();
    }, manner.limitMs ?? 20_000);
    stream.on("close", () => {
      clearTimeout(limit);
      resolve({ status, details, http, messages, hung });
    });
  });
}
