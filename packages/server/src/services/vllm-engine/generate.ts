import type { EngineError } from "../../engine/errors.ts";
import type { GenerationSink, OutputDelta } from "../../engine/output.ts";
import { promptTokensOf } from "../../engine/prompt-tokens.ts";
import type { GenerateRequest, GenerateResponse } from "../../generated/vllm_engine.ts";
import type { ServerStreamingHandler } from "../../rpc/call.ts";
import { admit } from "./admission.ts";
import type { VllmEngineContext } from "./context.ts";
import { factsToCheckWith, requireReady } from "./engine-status.ts";
import { type AnswerOutcome, ChunkedAnswer, WholeAnswer } from "./generate-stream.ts";
import type { InFlightRequest, InFlightRequests } from "./in-flight.ts";
import { priorityOf, traceHeadersOf } from "./request-metadata.ts";
import { validateGenerateRequest } from "./validate/generate-request.ts";

/**
 * Generate: pushes what the engine makes to the client, and ends OK after the last output's Complete.
 *
 * When the client cancels, its deadline passes or the server drains, the engine is told to abort at once and the call
 * ends with that reason. An Abort of the id ends the stream normally, with finish_reason "abort".
 */
export function generateHandler(
  context: VllmEngineContext,
  inFlight: InFlightRequests,
): ServerStreamingHandler<GenerateRequest, GenerateResponse> {
  const { engine, log } = context;
  return async (request, call) => {
    const facts = factsToCheckWith(engine);
    const { requestId, prompt, sampling } = validateGenerateRequest(request, facts, facts.dataParallelSize ?? 1);
    const { dataParallelRank } = request;
    const metadata = { priority: priorityOf(call), traceHeaders: traceHeadersOf(call) };
    requireReady(engine);
    call.signal.throwIfAborted();
    admit(context, inFlight, sampling.n);
    const work = { outputs: sampling.n, promptTokens: promptTokensOf(prompt) };
    const entry = inFlight.add(requestId, work, (engineId) => engine.abort(engineId));
    const startedAtMs = context.now();
    try {
      await new Promise<void>((resolve, reject) => {
        const ended = () => {
          engine.abort(entry.engineId);
          reject(call.signal.reason);
        };
        call.signal.addEventListener("abort", ended, { once: true });
        const outcome: AnswerOutcome = { done: resolve, failed: reject };
        const answer = request.stream
          ? new ChunkedAnswer(call, sampling.n, outcome)
          : new WholeAnswer(call, sampling.n, outcome);
        const sink = new CountingSink({ inFlight, entry, answer, now: () => context.now(), signal: call.signal });
        try {
          engine.generate({ id: entry.engineId, prompt, sampling, dataParallelRank, ...metadata }, sink);
        } catch (thrown) {
          entry.allFinished();
          throw thrown;
        }
      });
      if (context.logStats) log.debug({ requestId, tookMs: context.now() - startedAtMs }, "generate finished");
    } finally {
      inFlight.remove(requestId);
    }
  };
}

/** Notes for the registry what passes by on the way to the answer; once the call has ended nothing passes any more. */
class CountingSink implements GenerationSink {
  readonly #inFlight: InFlightRequests;
  readonly #entry: InFlightRequest;
  readonly #answer: GenerationSink;
  readonly #now: () => number;
  readonly #signal: AbortSignal;

  constructor(options: {
    readonly inFlight: InFlightRequests;
    readonly entry: InFlightRequest;
    readonly answer: GenerationSink;
    readonly now: () => number;
    readonly signal: AbortSignal;
  }) {
    this.#inFlight = options.inFlight;
    this.#entry = options.entry;
    this.#answer = options.answer;
    this.#now = options.now;
    this.#signal = options.signal;
  }

  delta(delta: OutputDelta): void {
    this.#inFlight.lastReceivedAtMs = this.#now();
    this.#entry.begun();
    if (delta.finish !== undefined) this.#entry.outputFinished();
    if (!this.#signal.aborted) this.#answer.delta(delta);
  }

  failed(error: EngineError): void {
    this.#entry.allFinished();
    if (!this.#signal.aborted) this.#answer.failed(error);
  }
}
