import { Client, type ClientReadableStream, credentials, type ServiceError, status } from "@grpc/grpc-js";
import {
  FlushCacheRequest,
  FlushCacheResponse,
  KvEventBatch,
  SubscribeKvEventsRequest,
} from "../../packages/server/src/generated/common.ts";
import {
  AbortRequest,
  AbortResponse,
  EmbedRequest,
  EmbedResponse,
  type GenerateComplete,
  GenerateRequest,
  GenerateResponse,
  type GenerateStreamChunk,
  GetLoadsRequest,
  GetLoadsResponse,
  GetModelInfoRequest,
  GetModelInfoResponse,
  type SamplingParams,
} from "../../packages/server/src/generated/vllm_engine.ts";

interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

type Given<Message> = { readonly [Key in keyof Message]?: Message[Key] };

export interface GenerateWords {
  readonly promptIds?: readonly number[];
  readonly text?: string;
  readonly requestId?: string;
  readonly stream?: boolean;
  readonly dataParallelRank?: number;
  readonly sampling?: Given<SamplingParams>;
}

/** What became of a Generate call. */
export interface Generated {
  /** By index: the ids of all chunks, then of the Complete. */
  readonly tokenIds: readonly (readonly number[])[];
  readonly completes: readonly GenerateComplete[];
  readonly chunks: readonly GenerateStreamChunk[];
  /** "OK" or the name of the status. */
  readonly status: string;
  readonly details: string;
}

export interface GenerateStream {
  /** Resolves with the first chunk, or at the end. */
  readonly begun: Promise<void>;
  readonly end: Promise<Generated>;
  cancel(): void;
}

/** Calls VllmEngine with grpc-js. Whoever makes it closes it. */
export class EngineClient {
  readonly #client: Client;
  #requests = 0;

  constructor(target: string) {
    this.#client = new Client(target, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
    });
  }

  start({ promptIds, text, requestId, stream = true, dataParallelRank, sampling = {} }: GenerateWords): GenerateStream {
    const request = GenerateRequest.fromPartial({
      requestId: requestId ?? `c-${++this.#requests}`,
      input:
        promptIds === undefined
          ? { $case: "text", value: text ?? "" }
          : { $case: "tokenized", value: { originalText: "", inputIds: [...promptIds] } },
      samplingParams: sampling,
      stream,
      dataParallelRank,
    });
    const call = this.#client.makeServerStreamRequest(
      "/vllm.grpc.engine.VllmEngine/Generate",
      (message: GenerateRequest) => Buffer.from(GenerateRequest.encode(message).finish()),
      (bytes: Buffer) => GenerateResponse.decode(bytes),
      request,
    );
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<Generated>();
    const tokenIds: number[][] = [];
    const completes: GenerateComplete[] = [];
    const chunks: GenerateStreamChunk[] = [];
    const idsOf = (index: number): number[] => {
      tokenIds[index] ??= [];
      return tokenIds[index];
    };
    call.on("data", ({ response }: GenerateResponse) => {
      begun.resolve();
      if (response?.$case === "chunk") {
        chunks.push(response.value);
        idsOf(response.value.index).push(...response.value.tokenIds);
      } else if (response?.$case === "complete") {
        completes.push(response.value);
        idsOf(response.value.index).push(...response.value.outputIds);
      }
    });
    // The status event carries the same news; without a listener the error would be thrown.
    call.on("error", () => undefined);
    call.on("status", ({ code, details }) => {
      begun.resolve();
      end.resolve({ tokenIds, completes, chunks, status: status[code] ?? String(code), details });
    });
    return { begun: begun.promise, end: end.promise, cancel: () => call.cancel() };
  }

  generate(words: GenerateWords): Promise<Generated> {
    return this.start(words).end;
  }

  abort(requestIds: readonly string[]): Promise<AbortResponse> {
    return this.#unary("Abort", AbortRequest, AbortResponse, AbortRequest.fromPartial({ requestIds: [...requestIds] }));
  }

  embed(promptIds: readonly number[]): Promise<EmbedResponse> {
    const tokenized = { originalText: "", inputIds: [...promptIds] };
    const request = EmbedRequest.fromPartial({ requestId: `e-${++this.#requests}`, tokenized });
    return this.#unary("Embed", EmbedRequest, EmbedResponse, request);
  }

  flushCache(): Promise<FlushCacheResponse> {
    return this.#unary("FlushCache", FlushCacheRequest, FlushCacheResponse, FlushCacheRequest.fromPartial({}));
  }

  modelInfo(): Promise<GetModelInfoResponse> {
    const request = GetModelInfoRequest.fromPartial({});
    return this.#unary("GetModelInfo", GetModelInfoRequest, GetModelInfoResponse, request);
  }

  async runningRequests(): Promise<number> {
    const { loads } = await this.#unary("GetLoads", GetLoadsRequest, GetLoadsResponse, GetLoadsRequest.fromPartial({}));
    return loads.reduce((sum, load) => sum + load.numRunningReqs + load.numWaitingReqs, 0);
  }

  /** SubscribeKvEvents from the beginning, with load records at once. Whoever calls it cancels it. */
  subscribeKvEvents(): ClientReadableStream<KvEventBatch> {
    return this.#client.makeServerStreamRequest(
      "/vllm.grpc.engine.VllmEngine/SubscribeKvEvents",
      (value: SubscribeKvEventsRequest) => Buffer.from(SubscribeKvEventsRequest.encode(value).finish()),
      (bytes: Buffer) => KvEventBatch.decode(bytes),
      SubscribeKvEventsRequest.fromPartial({ loadRecordsBeforeFirstBatch: true }),
    );
  }

  close(): void {
    this.#client.close();
  }

  #unary<Request, Response>(
    method: string,
    request: Codec<Request>,
    response: Codec<Response>,
    message: Request,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/vllm.grpc.engine.VllmEngine/${method}`,
        (value: Request) => Buffer.from(request.encode(value).finish()),
        (bytes: Buffer) => response.decode(bytes),
        message,
        (error: ServiceError | null, answer?: Response) => {
          if (error !== null) reject(error);
          else resolve(answer as Response);
        },
      );
    });
  }
}

/** The name of the status with which a unary call ended. */
export function statusOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? (status[Number(thrown.code)] ?? "?") : "?";
}
