import type { EngineError } from "../../engine/errors.ts";
import type { Embedding, GenerationSink } from "../../engine/output.ts";
import type { OutputSequence } from "./output/output-sequence.ts";
import type { RankLoad } from "./rank-load.ts";

/** A request as its caller knows it: a prompt and n outputs. */
export interface OpenRequest {
  readonly id: string;
  readonly sink: GenerationSink;
  /** Those that were handed over and have not ended, by the engine's id. Empty while a text is being tokenized. */
  readonly outputs: Map<string, OpenOutput>;
  /** Outputs that wait for the prompt's ids. */
  unsentOutputs: number;
}

/** One output in an engine's hands. */
export interface OpenOutput {
  readonly t: "output";
  /** The engine's id. */
  readonly coreId: string;
  readonly rank: number;
  readonly load: RankLoad;
  readonly request: OpenRequest;
  readonly sequence: OutputSequence;
  /** Generated so far. */
  tokens: number;
}

/** A prompt that an engine embeds. */
export interface OpenEmbedding {
  readonly t: "embedding";
  readonly coreId: string;
  readonly rank: number;
  readonly promptTokens: number;
  readonly resolve: (embedding: Embedding) => void;
  readonly reject: (error: EngineError) => void;
}

/** Everything that somebody waits for from the engines. Each entry is here until it has ended, one way or the other. */
export class OpenWork {
  readonly #requests = new Map<string, OpenRequest>();
  readonly #byCoreId = new Map<string, OpenOutput | OpenEmbedding>();
  #idleWaiters: (() => void)[] = [];

  /** By the engine's id. */
  find(coreId: string): OpenOutput | OpenEmbedding | undefined {
    return this.#byCoreId.get(coreId);
  }

  request(id: string): OpenRequest | undefined {
    return this.#requests.get(id);
  }

  requests(): readonly OpenRequest[] {
    return [...this.#requests.values()];
  }

  openRequest(id: string, outputs: number, sink: GenerationSink): OpenRequest {
    const request: OpenRequest = { id, sink, outputs: new Map(), unsentOutputs: outputs };
    this.#requests.set(id, request);
    return request;
  }

  addOutput(output: OpenOutput): void {
    output.request.unsentOutputs -= 1;
    output.request.outputs.set(output.coreId, output);
    this.#byCoreId.set(output.coreId, output);
    output.load.handed(output.sequence);
  }

  addEmbedding(embedding: OpenEmbedding): void {
    this.#byCoreId.set(embedding.coreId, embedding);
  }

  /** The engine has let go of it, or was told to. The request ends with its last output. */
  outputEnded(output: OpenOutput): void {
    if (!this.#byCoreId.delete(output.coreId)) return;
    output.load.ended(output.sequence, output.tokens);
    output.request.outputs.delete(output.coreId);
    if (output.request.outputs.size + output.request.unsentOutputs === 0) this.closeRequest(output.request);
  }

  /** Forgets a request with all its outputs and answers them: the engine has to be told of those. */
  closeRequest(request: OpenRequest): readonly OpenOutput[] {
    const outputs = [...request.outputs.values()];
    request.outputs.clear();
    for (const output of outputs) {
      this.#byCoreId.delete(output.coreId);
      output.load.ended(output.sequence, output.tokens);
    }
    this.#requests.delete(request.id);
    this.#look();
    return outputs;
  }

  /** Ends an embedding; false when it had ended already. */
  embeddingEnded(embedding: OpenEmbedding): boolean {
    const wasOpen = this.#byCoreId.delete(embedding.coreId);
    this.#look();
    return wasOpen;
  }

  /** Embeddings and requests with an output on this rank. */
  onRank(rank: number): {
    readonly requests: readonly OpenRequest[];
    readonly embeddings: readonly OpenEmbedding[];
  } {
    const requests = new Set<OpenRequest>();
    const embeddings: OpenEmbedding[] = [];
    for (const entry of this.#byCoreId.values()) {
      if (entry.rank !== rank) continue;
      if (entry.t === "embedding") embeddings.push(entry);
      else requests.add(entry.request);
    }
    return { requests: [...requests], embeddings };
  }

  /** Resolves when nothing is open. */
  idle(): Promise<void> {
    if (this.#requests.size === 0 && this.#byCoreId.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #look(): void {
    if (this.#requests.size > 0 || this.#byCoreId.size > 0) return;
    for (const resolve of this.#idleWaiters) resolve();
    this.#idleWaiters = [];
  }
}
