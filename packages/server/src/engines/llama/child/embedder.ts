import { EngineError } from "../../../engine/errors.ts";
import type { LlamaChildOptions } from "../ipc.ts";
import type { AddonContext } from "./addon.ts";
import type { LlamaModel } from "./model.ts";

/**
 * Embeddings from a context of their own, made on first use; one prompt at a time.
 *
 * A model made to embed pools as its file says. One made to generate gives its last token's vector (vLLM's default for
 * such models, pooling type LAST). Both are L2-normalised, as vLLM does.
 */
export class Embedder {
  readonly #model: LlamaModel;
  readonly #options: LlamaChildOptions;
  #context: Promise<AddonContext> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(model: LlamaModel, options: LlamaChildOptions) {
    this.#model = model;
    this.#options = options;
  }

  /** The length of the prompt was checked. */
  embed(tokenIds: Uint32Array): Promise<Float32Array> {
    const result = this.#last.then(() => this.#run(tokenIds));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #run(tokenIds: Uint32Array): Promise<Float32Array> {
    this.#context ??= this.#create();
    const context = await this.#context;
    context.disposeSequence(0);
    const chunk = this.#chunkTokens;
    for (let first = 0; first < tokenIds.length; first += chunk) {
      const tokens = tokenIds.subarray(first, first + chunk);
      context.initBatch(tokens.length);
      context.addToBatch(
        0,
        first,
        tokens,
        Uint32Array.from(tokens, (_, i) => i),
      );
      await context.decodeBatch();
    }
    return normalise(context.getEmbedding(tokenIds.length));
  }

  /** Pooling over a whole prompt needs it in one batch; the last token alone does not. */
  get #chunkTokens(): number {
    const { isGeneration, maxNumBatchedTokens, maxModelLenTokens } = this.#options;
    return isGeneration ? Math.min(maxNumBatchedTokens, maxModelLenTokens) : maxModelLenTokens;
  }

  async #create(): Promise<AddonContext> {
    const { addon, native } = this.#model;
    const context = new addon.AddonContext(native, {
      contextSize: this.#options.maxModelLenTokens,
      batchSize: this.#chunkTokens,
      sequences: 1,
      threads: this.#options.threads,
      flashAttention: "auto",
      embeddings: true,
    });
    if (!(await context.init())) throw new EngineError("internal", "llama.cpp cannot make a context for embeddings");
    return context;
  }
}

function normalise(vector: Float64Array): Float32Array {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => (length > 0 ? value / length : 0));
}
