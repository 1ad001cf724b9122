import { EngineError } from "../../../engine/errors.ts";
import type { LlamaChildOptions } from "../ipc.ts";
import type { AddonContext } from "./addon.ts";
import type { LlamaModel } from "./model.ts";

/** A prompt that waits for its turn, or has it. */
interface Prompt {
  readonly tokenIds: Uint32Array;
  readonly result: PromiseWithResolvers<Float32Array>;
}

/**
 * Embeddings from a context of their own, made on first use; one prompt at a time, in the order in which they came.
 *
 * A model made to embed pools as its file says. One made to generate gives its last token's vector (vLLM's default for
 * such models, pooling type LAST). Both are L2-normalised, as vLLM does.
 */
export class Embedder {
  readonly #model: Pick<LlamaModel, "addon" | "native">;
  readonly #options: LlamaChildOptions;
  readonly #prompts = new Map<string, Prompt>();
  #context: Promise<AddonContext> | undefined;
  #busy = false;

  constructor(model: Pick<LlamaModel, "addon" | "native">, options: LlamaChildOptions) {
    this.#model = model;
    this.#options = options;
  }

  /** The length of the prompt was checked, and the id is unique among the prompts that wait. */
  embed(id: string, tokenIds: Uint32Array): Promise<Float32Array> {
    const result = Promise.withResolvers<Float32Array>();
    this.#prompts.set(id, { tokenIds, result });
    void this.#work();
    return result.promise;
  }

  /** Nobody waits for this prompt any more: it is dropped, or given up between two passes. */
  abort(id: string): void {
    const prompt = this.#prompts.get(id);
    this.#prompts.delete(id);
    prompt?.result.reject(new EngineError("unavailable", "the embedding was given up"));
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    // A map yields what is added to it while it is walked, and not what is taken from it.
    for (const [id, { tokenIds, result }] of this.#prompts) {
      try {
        result.resolve(await this.#run(tokenIds, () => !this.#prompts.has(id)));
      } catch (thrown) {
        result.reject(thrown);
      }
      this.#prompts.delete(id);
    }
    this.#busy = false;
  }

  async #run(tokenIds: Uint32Array, givenUp: () => boolean): Promise<Float32Array> {
    this.#context ??= this.#create();
    const context = await this.#context;
    context.disposeSequence(0);
    const chunk = this.#chunkTokens;
    for (let first = 0; first < tokenIds.length; first += chunk) {
      if (givenUp()) return new Float32Array();
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
    const made = await context.init().catch(() => false);
    if (made) return context;
    // The memory that it lacked may be there next time.
    this.#context = undefined;
    throw new EngineError("resource-exhausted", "llama.cpp cannot make a context for embeddings; memory may be short");
  }
}

function normalise(vector: Float64Array): Float32Array {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => (length > 0 ? value / length : 0));
}
