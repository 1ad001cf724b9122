import {
  type CallOptions,
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";

const serialize = (text: string): Buffer => Buffer.from(text);
const deserialize = (bytes: Buffer): string => bytes.toString();

/** What a streaming call gave. */
export interface Read {
  readonly messages: string[];
  readonly failure: ServiceError | undefined;
}

/** A stranger for our server: grpc-js's client, with texts for messages. */
export class TextClient {
  readonly #client: Client;

  constructor(target: string | number, options: ClientOptions & { readonly secure?: ChannelCredentials } = {}) {
    const { secure, ...rest } = options;
    const address = typeof target === "number" ? `127.0.0.1:${target}` : target;
    this.#client = new Client(address, secure ?? credentials.createInsecure(), rest);
  }

  close(): void {
    this.#client.close();
  }

  unary(
    method: string,
    request: string,
    options: CallOptions & { readonly metadata?: Metadata } = {},
  ): Promise<{ readonly message: string; readonly headers: Metadata; readonly trailers: Metadata }> {
    return new Promise((resolve, reject) => {
      let headers = new Metadata();
      const { metadata, ...rest } = options;
      let message = "";
      const call = this.#client.makeUnaryRequest(
        path(method),
        serialize,
        deserialize,
        request,
        metadata ?? new Metadata(),
        rest,
        (error, response) => {
          if (error !== null) reject(error);
          else message = response ?? "";
        },
      );
      call.on("metadata", (received: Metadata) => {
        headers = received;
      });
      call.on("status", (status) => resolve({ message, headers, trailers: status.metadata }));
    });
  }

  async failure(method: string, request: string, options: CallOptions = {}): Promise<ServiceError> {
    try {
      await this.unary(method, request, options);
    } catch (thrown) {
      return thrown as ServiceError;
    }
    throw new Error(`${method} did not fail`);
  }

  stream(method: string, request: string, options: CallOptions = {}): ClientReadableStream<string> {
    return this.#client.makeServerStreamRequest(path(method), serialize, deserialize, request, options);
  }

  bidi(method: string, options: CallOptions = {}): ClientDuplexStream<string, string> {
    return this.#client.makeBidiStreamRequest(path(method), serialize, deserialize, options);
  }

  /** Sends all requests of a client-streaming call. */
  collect(method: string, requests: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeClientStreamRequest(path(method), serialize, deserialize, (error, response) => {
        if (error === null) resolve(response ?? "");
        else reject(error);
      });
      for (const request of requests) call.write(request);
      call.end();
    });
  }
}

/** Reads a stream to its end, whatever that is. */
export function readAll(stream: ClientReadableStream<string> | ClientDuplexStream<string, string>): Promise<Read> {
  return new Promise((resolve) => {
    const messages: string[] = [];
    let failure: ServiceError | undefined;
    stream.on("data", (message: string) => messages.push(message));
    stream.on("error", (error: ServiceError) => {
      failure = error;
    });
    stream.on("status", () => setImmediate(() => resolve({ messages, failure })));
  });
}

function path(method: string): string {
  return method.startsWith("/") ? method : `/test.Text/${method}`;
}
