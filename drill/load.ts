import { Client, type ClientReadableStream, credentials, status as grpcStatus } from "@grpc/grpc-js";
import { GenerateRequest, GenerateResponse } from "../packages/server/src/generated/vllm_engine.ts";

export interface StreamEnd {
  readonly tokens: number;
  /** "OK", or the name of the status that ended it. */
  readonly status: string;
  readonly finishReason: string | undefined;
}

export interface StreamOptions {
  readonly maxTokens: number;
  /** Default: a short question. */
  readonly text?: string;
}

export interface GenerateStream {
  /** Resolves with the first token, or when the stream ended without one. */
  readonly begun: Promise<void>;
  readonly end: Promise<StreamEnd>;
}

let streams = 0;

/** Generates on connections of its own and tells how each stream ended. */
export class Load {
  readonly #clients: readonly Client[];
  #turn = 0;

  constructor(target: string, connections = 4) {
    const options = { "grpc.use_local_subchannel_pool": 1, "grpc.enable_retries": 0 };
    this.#clients = Array.from(
      { length: connections },
      () => new Client(target, credentials.createInsecure(), options),
    );
  }

  /** Begins a stream that runs to `maxTokens`, whatever the model says. */
  start({ maxTokens, text = "Tell me a story about a fox." }: StreamOptions): GenerateStream {
    const client = this.#clients[this.#turn++ % this.#clients.length] as Client;
    const call: ClientReadableStream<GenerateResponse> = client.makeServerStreamRequest(
      "/vllm.grpc.engine.VllmEngine/Generate",
      (message: GenerateRequest) => Buffer.from(GenerateRequest.encode(message).finish()),
      (bytes: Buffer) => GenerateResponse.decode(bytes),
      GenerateRequest.fromPartial({
        requestId: `drill-${++streams}`,
        input: { $case: "text", value: text },
        samplingParams: { temperature: 1, seed: streams, maxTokens, ignoreEos: true },
        stream: true,
      }),
    );
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<StreamEnd>();
    let tokens = 0;
    let finishReason: string | undefined;
    call.on("data", ({ response }: GenerateResponse) => {
      begun.resolve();
      if (response?.$case === "chunk") tokens += response.value.tokenIds.length;
      else if (response?.$case === "complete") finishReason = response.value.finishReason;
    });
    // The status event carries the same news; without a listener the error would be thrown.
    call.on("error", () => undefined);
    call.on("status", ({ code }) => {
      begun.resolve();
      end.resolve({ tokens, finishReason, status: grpcStatus[code] ?? String(code) });
    });
    return { begun: begun.promise, end: end.promise };
  }

  /** Begins so many streams at once and resolves when each has its first token. */
  async startMany(count: number, options: StreamOptions): Promise<GenerateStream[]> {
    const started = Array.from({ length: count }, () => this.start(options));
    await Promise.all(started.map((stream) => stream.begun));
    return started;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}
