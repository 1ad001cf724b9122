import type { TestContext } from "node:test";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { pino } from "pino";
import type { Log } from "../../../operations/log.ts";
import type { Method, RequestCodec, ResponseCodec } from "../../../rpc/service.ts";
import { createRpcServer, type RpcServerOptions, type TokenwireRpcServer } from "../rpc-server.ts";

/** Messages of the test service: plain text. `!` stands for bytes that do not decode. */
export const text: RequestCodec<string> & ResponseCodec<string> = {
  decode(bytes) {
    const decoded = new TextDecoder().decode(bytes);
    if (decoded === "!") throw new RangeError("premature end of the message");
    return decoded;
  },
  encode: (message) => ({ finish: () => new TextEncoder().encode(message) }),
};

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly reason?: string;
  readonly id?: string;
  readonly err?: { readonly message: string; readonly stack: string };
}

/** A real logger that keeps its lines. */
export function recordingLog(): { readonly log: Log; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const log = pino(
    { level: "debug", base: null, formatters: { level: (label) => ({ level: label }) } },
    { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) },
  );
  return { log, lines };
}

export interface Rig {
  readonly server: TokenwireRpcServer;
  readonly port: number;
  readonly client: TextClient;
  readonly lines: LogLine[];
}

/** Serves the methods as `test.Text` on a free port, with a client; both are closed when the test ends. */
export async function serve(
  t: TestContext,
  methods: readonly Method[],
  options: Partial<RpcServerOptions> = {},
): Promise<Rig> {
  const { log, lines } = recordingLog();
  const server = createRpcServer({ log, closeGraceMs: 200, ...options });
  server.register({ name: "test.Text", methods });
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
  const client = new TextClient(port);
  t.after(async () => {
    client.close();
    await server.close("the test is over");
  });
  return { server, port, client, lines };
}

/** What a client saw of a call that failed. */
export type Failure = Pick<ServiceError, "code" | "details" | "metadata">;

/** A grpc-js client of a service whose messages are text. */
export class TextClient {
  readonly #client: Client;

  constructor(port: number, security: ChannelCredentials = credentials.createInsecure()) {
    this.#client = new Client(`127.0.0.1:${port}`, security, {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_send_message_length": -1,
    });
  }

  unary(
    method: string,
    request: string,
    options: { deadline?: number; headers?: Record<string, string>; service?: string } = {},
  ): Promise<{ message: string; trailers: Metadata }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ message: string; trailers: Metadata }>();
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(options.headers ?? {})) metadata.set(key, value);
    let message = "";
    const call = this.#client.makeUnaryRequest(
      `/${options.service ?? "test.Text"}/${method}`,
      toBytes,
      toText,
      request,
      metadata,
      options.deadline === undefined ? {} : { deadline: options.deadline },
      (error, response) => {
        if (error) reject(error);
        else message = response ?? "";
      },
    );
    call.on("status", (status) => resolve({ message, trailers: status.metadata }));
    return promise;
  }

  /** The failure of a unary call; throws when it does not fail. */
  async failure(
    method: string,
    request: string,
    options: { deadline?: number; service?: string } = {},
  ): Promise<Failure> {
    try {
      await this.unary(method, request, options);
    } catch (error) {
      return error as Failure;
    }
    throw new Error(`${method} did not fail`);
  }

  stream(method: string, request: string, options: { deadline?: number } = {}): ClientReadableStream<string> {
    return this.#client.makeServerStreamRequest(
      `/test.Text/${method}`,
      toBytes,
      toText,
      request,
      new Metadata(),
      options,
    );
  }

  bidi(method: string): ClientDuplexStream<string, string> {
    return this.#client.makeBidiStreamRequest(`/test.Text/${method}`, toBytes, toText);
  }

  close(): void {
    this.#client.close();
  }
}

/** Reads a stream to its end: the messages, and how it failed (undefined: it ended OK). */
export async function readAll(
  stream: AsyncIterable<string>,
): Promise<{ readonly messages: string[]; readonly failure: Failure | undefined }> {
  const messages: string[] = [];
  try {
    for await (const message of stream) messages.push(message);
  } catch (error) {
    return { messages, failure: error as Failure };
  }
  return { messages, failure: undefined };
}

function toBytes(message: string): Buffer {
  return Buffer.from(message);
}

function toText(bytes: Buffer): string {
  return bytes.toString();
}
