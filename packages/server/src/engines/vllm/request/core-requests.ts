import type { EngineCoreRequest, RequestLimits } from "@tokenwire/engine-core";
import { EngineError } from "../../../engine/errors.ts";
import type { ModelFacts, TokenizerFile } from "../../../engine/facts.ts";
import type { GenerateRequest, Prompt } from "../../../engine/request.ts";
import type { HuggingFaceTokenizer } from "../../../text/hugging-face-tokenizer.ts";
import { engineErrorOf } from "../engine-core-error.ts";
import type { LinkedEngines } from "../engine-link.ts";
import { modelFactsOf } from "../facts.ts";
import type { HuggingFaceModel } from "../model/read-model.ts";
import { StopStrings } from "../output/stop-strings.ts";
import { TokenizerThread } from "../tokenizing/tokenizer-thread.ts";
import { cannotTokenize, promptIdsOf } from "./prompt-ids.ts";
import { wireSamplingParams } from "./wire-sampling-params.ts";

/** A request of the engine's that has no id yet, because each of its kind needs one of its own. */
export type CoreRequest = Omit<EngineCoreRequest, "requestId">;

/**
 * vLLM's PoolingParams for one vector of the whole prompt, by their order on the wire (vllm/pooling_params.py at 0.32):
 * use_activation (which normalises), dimensions, step_tag_id, returned_token_ids, task.
 */
const poolingParams = [true, null, null, null, "embed"] as const;

/** A text up to here takes a few milliseconds at the most and is tokenized where it comes. */
const shortTextCharacters = 4096;

/** Turns what a client asks for into what an engine core takes, and refuses what one would die of. */
export class CoreRequests {
  readonly facts: ModelFacts;
  /** Ids that end an output as an EOS does. */
  readonly ends: ReadonlySet<number>;
  readonly #model: HuggingFaceModel;
  readonly #limits: RequestLimits;
  readonly #thread: TokenizerThread;
  readonly #checkRequest: (request: EngineCoreRequest, limits: RequestLimits) => void;

  /** Loads the client's package for its check, which is there because the engines are linked. */
  static async create(
    model: HuggingFaceModel,
    files: readonly TokenizerFile[],
    engines: LinkedEngines,
  ): Promise<CoreRequests> {
    const { checkRequest } = await import("@tokenwire/engine-core");
    return new CoreRequests(model, files, engines, checkRequest);
  }

  private constructor(
    model: HuggingFaceModel,
    files: readonly TokenizerFile[],
    { ready, tasks }: LinkedEngines,
    checkRequest: (request: EngineCoreRequest, limits: RequestLimits) => void,
  ) {
    this.#model = model;
    this.#thread = new TokenizerThread(model.folder, files);
    this.#checkRequest = checkRequest;
    this.facts = modelFactsOf(model, ready, tasks.includes("generate"));
    this.ends = new Set(this.facts.eosTokenIds);
    const { vocabSize, maxModelLenTokens } = this.facts;
    this.#limits = { vocabSize, maxModelLenTokens, tasks };
  }

  /** Ends the thread that tokenizes long texts. */
  close(): Promise<void> {
    return this.#thread.close();
  }

  /**
   * The prompt's ids; a promise of them for a long text. Throws or rejects `invalid-argument` for a text that cannot be
   * tokenized or does not fit, and `failed-precondition` where there is no tokenizer.
   */
  tokenIdsOf(prompt: Prompt): readonly number[] | Promise<readonly number[]> {
    if (prompt.kind === "tokens") return Array.from(prompt.tokenIds);
    const { text, truncateToTokens } = prompt;
    const tokenizer = this.#tokenizer("text");
    const fitting = (tokenIds: readonly number[]): readonly number[] =>
      promptIdsOf(tokenIds, truncateToTokens, this.facts.maxModelLenTokens);
    if (text.length > shortTextCharacters) {
      return this.#thread.encode(text).then(fitting, (thrown: unknown) => {
        throw cannotTokenize(thrown);
      });
    }
    let tokenIds: readonly number[];
    try {
      tokenIds = tokenizer.encode(text, true);
    } catch (thrown) {
      throw cannotTokenize(thrown);
    }
    return fitting(tokenIds);
  }

  /** One request for each output. Throws `invalid-argument` and `failed-precondition`. */
  generation({ sampling, priority, traceHeaders }: GenerateRequest, prompt: readonly number[]): readonly CoreRequest[] {
    if (!this.facts.isGeneration) {
      throw new EngineError(
        "failed-precondition",
        `${this.facts.modelPath} is a model for embeddings; it cannot generate`,
      );
    }
    const stopFacts = { ...this.#model, maxModelLenTokens: this.facts.maxModelLenTokens };
    const requests = Array.from({ length: sampling.n }, (_, index) => ({
      promptTokenIds: prompt,
      samplingParams: wireSamplingParams(sampling, stopFacts, prompt.length, index),
      priority,
      traceHeaders,
    }));
    // The others differ in the seed alone.
    this.#check(requests[0]);
    return requests;
  }

  /** Throws `unimplemented` for a model that pools nothing, and `invalid-argument`. */
  embedding(tokenIds: Uint32Array): CoreRequest {
    if (!this.#limits.tasks.includes("embed")) {
      throw new EngineError("unimplemented", `${this.facts.modelPath} makes no embeddings`);
    }
    const request = { promptTokenIds: Array.from(tokenIds), poolingParams };
    this.#check(request);
    return request;
  }

  /** Undefined where the request has no stop strings; each output needs its own. Throws `failed-precondition`. */
  stopStrings({ sampling }: GenerateRequest, prompt: readonly number[]): StopStrings | undefined {
    if (sampling.stop.length === 0) return undefined;
    const tokenizer = this.#tokenizer("sampling_params.stop");
    return new StopStrings(sampling.stop, sampling.minTokens, (ids) => tokenizer.decode(ids, false), prompt);
  }

  #check(request: CoreRequest | undefined): void {
    if (request === undefined) return;
    try {
      this.#checkRequest({ requestId: "checked", ...request }, this.#limits);
    } catch (thrown) {
      throw engineErrorOf(thrown);
    }
  }

  #tokenizer(field: string): HuggingFaceTokenizer {
    const { tokenizer } = this.#model;
    if ("encode" in tokenizer) return tokenizer;
    const sentence = `${field}: needs a tokenizer, and ${tokenizer.missingBecause}`;
    throw new EngineError("failed-precondition", sentence, { field });
  }
}
