import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { numberedMessage } from "./numbered-message.ts";

/** Where a connection of the churn goes. */
export type Door =
  | { readonly t: "tcp"; readonly port: number }
  | { readonly t: "socket"; readonly path: string }
  | { readonly t: "tls"; readonly path: string; readonly ca: Buffer };

/** How a call ended: without a status it was cut, by the client or with its connection. */
interface Ended {
  readonly status: string | undefined;
  readonly messages: readonly Buffer[];
}

/** Answers what was wrong, or undefined. */
type Kind = (connection: ChurningConnection, random: () => number) => Promise<string | undefined>;

const prefixBytes = 5;
const cancel = constants.NGHTTP2_CANCEL;

/** A client on nothing but node:http2: its calls are right to the byte, or taken back in the middle. */
export class ChurningConnection {
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  readonly #closed: Promise<void>;

  constructor(door: Door, initialWindowSize: number) {
    const socket = openSocket(door);
    this.#socket = socket;
    const settings = { initialWindowSize, enablePush: false };
    this.#session = connect("http://localhost", { createConnection: () => socket, settings });
    this.#session.on("error", () => undefined);
    this.#closed = new Promise((resolve) => socket.once("close", () => resolve()));
  }

  /** Ends when the last call has; resolves when the socket is closed. */
  leave(): Promise<void> {
    this.#session.close();
    return this.#closed;
  }

  /** Breaks off in the middle of whatever is open. */
  break(politely: boolean): Promise<void> {
    if (politely) this.#session.destroy();
    else this.#socket.destroy();
    return this.#closed;
  }

  begin(method: string, headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
    return this.#session.request({
      ":method": "POST",
      ":path": `/tokenwire.test.Counting/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
  }
}

/** One call of a kind that chance picks; answers what was wrong with it, or undefined. */
export function callAtRandom(connection: ChurningConnection, random: () => number): Promise<string | undefined> {
  return (kinds[Math.floor(random() * kinds.length)] as Kind)(connection, random);
}

/** Calls that are open when their connection breaks: how they end nobody can say, but each does. */
export async function openCalls(
  connection: ChurningConnection,
  random: () => number,
): Promise<{ readonly calls: number; ended(): Promise<unknown> }> {
  const streams = ["Wait", "Talk", "Sum", "Count"].slice(0, 1 + below(random, 4)).map((method) => {
    const stream = connection.begin(method);
    const ended = endOf(stream);
    if (method === "Count") stream.end(framed(count(0, 100_000)));
    else stream.write(framed(Buffer.alloc(below(random, 100))).subarray(0, below(random, 100)));
    return ended;
  });
  await turns(below(random, 4));
  return { calls: streams.length, ended: () => Promise.all(streams) };
}

const echo: Kind = async (connection, random) => {
  const text = Buffer.alloc(below(random, random() < 0.02 ? 40_000 : 800), String(random()));
  const stream = connection.begin("Echo");
  stream.end(framed(text));
  const { status, messages } = await endOf(stream);
  return status === "0" && messages.length === 1 && messages[0]?.equals(text) ? undefined : `Echo ended ${status}`;
};

const counted: Kind = async (connection, random) => {
  const number = below(random, 1 << 30);
  const wanted = below(random, 40);
  const stream = connection.begin("Count");
  stream.end(framed(count(number, wanted)));
  const { status, messages } = await endOf(stream);
  const right = messages.every((message, at) => message.equals(numberedMessage(number, at)));
  return status === "0" && right && messages.length === wanted
    ? undefined
    : `Count of ${wanted} ended ${status} after ${messages.length}`;
};

const countCancelled: Kind = async (connection, random) => {
  const stream = connection.begin("Count");
  stream.end(framed(count(1, 1_000_000)));
  let chunks = 1 + below(random, 4);
  const { status } = await endOf(stream, () => {
    chunks -= 1;
    if (chunks === 0) stream.close(cancel);
  });
  return status === undefined ? undefined : `a cancelled Count ended ${status}`;
};

const summed: Kind = async (connection, random) => {
  const stream = connection.begin("Sum");
  let sum = 0;
  for (let n = below(random, 8); n > 0; n -= 1) {
    const bytes = below(random, 300);
    sum += bytes;
    stream.write(framed(Buffer.alloc(bytes)));
    if (random() < 0.3) await turns(1);
  }
  stream.end();
  const { status, messages } = await endOf(stream);
  return status === "0" && messages[0]?.readUInt32BE(0) === sum ? undefined : `Sum ended ${status}`;
};

const talk: Kind = async (connection, random) => {
  const stream = connection.begin("Talk");
  const ended = endOf(stream);
  const sent: Buffer[] = [];
  for (let n = 1 + below(random, 8); n > 0; n -= 1) {
    const message = numberedMessage(n, below(random, 1 << 20));
    sent.push(message);
    stream.write(framed(message));
    if (random() < 0.5) await turns(1);
  }
  stream.end();
  const { status, messages } = await ended;
  const right = messages.length === sent.length && sent.every((message, at) => messages[at]?.equals(message));
  return status === "0" && right ? undefined : `Talk of ${sent.length} ended ${status} after ${messages.length}`;
};

const cancelledEarly: Kind = async (connection, random) => {
  const stream = connection.begin(random() < 0.5 ? "Wait" : "Talk");
  const ended = endOf(stream);
  stream.write(framed(Buffer.alloc(10)));
  if (random() < 0.5) stream.end();
  await turns(below(random, 4));
  stream.close(cancel);
  await ended;
  return undefined;
};

const expired: Kind = async (connection, random) => {
  const stream = connection.begin("Wait", { "grpc-timeout": `${below(random, 30)}m` });
  stream.end(framed(Buffer.alloc(3)));
  const { status } = await endOf(stream);
  return status === "4" ? undefined : `a Wait with a deadline ended ${status}`;
};

/** Several times, so that what is common is common here too. */
const kinds: readonly Kind[] = [
  echo,
  echo,
  echo,
  echo,
  counted,
  counted,
  summed,
  talk,
  talk,
  countCancelled,
  cancelledEarly,
  expired,
];

function below(random: () => number, bound: number): number {
  return Math.floor(random() * bound);
}

function openSocket(door: Door): Socket {
  switch (door.t) {
    case "tcp":
      return connectSocket(door.port, "127.0.0.1");
    case "socket":
      return connectSocket(door.path);
    case "tls":
      return connectTls({ path: door.path, ca: door.ca, servername: "localhost", ALPNProtocols: ["h2"] });
  }
}

/** Lets the event loop turn, so that a call gets some way. */
async function turns(times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

function framed(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(prefixBytes + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  message.copy(bytes, prefixBytes);
  return bytes;
}

function count(stream: number, messages: number): Buffer {
  const request = Buffer.alloc(8);
  request.writeUInt32BE(stream, 0);
  request.writeUInt32BE(messages, 4);
  return request;
}

/** Resolves when the stream is closed, however it was; `onChunk` hears each piece of the answer. */
function endOf(stream: ClientHttp2Stream, onChunk?: () => void): Promise<Ended> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let status: string | undefined;
    const look = (headers: { readonly [name: string]: unknown }) => {
      if (headers["grpc-status"] !== undefined) status = String(headers["grpc-status"]);
    };
    stream.on("response", look);
    stream.on("trailers", look);
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => {
      if (onChunk === undefined) chunks.push(chunk);
      else onChunk();
    });
    stream.on("close", () => resolve({ status, messages: messagesOf(Buffer.concat(chunks)) }));
  });
}

function messagesOf(body: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + prefixBytes <= body.length; ) {
    const end = at + prefixBytes + body.readUInt32BE(at + 1);
    messages.push(body.subarray(at + prefixBytes, end));
    at = end;
  }
  return messages;
}
