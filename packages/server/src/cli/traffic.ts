import type { Engine } from "../engine/engine.ts";
import type { EngineLoad } from "../engine/facts.ts";
import type { GenerationSink } from "../engine/output.ts";
import { wrapEngine } from "../engine/wrap-engine.ts";
import type { Log } from "../operations/log.ts";

/** Tokens that have passed since the start; they only grow. */
export interface TokenCounts {
  /** Prompt tokens of requests whose first output came. */
  promptTokens: number;
  /** Of those, found in the cache. */
  cachedTokens: number;
  generatedTokens: number;
}

/** An engine that counts the tokens which pass through it. Everything else is the engine's own. */
export function countTokens(engine: Engine, counts: TokenCounts): Engine {
  return wrapEngine(engine, {
    generate: (request, sink) => engine.generate(request, countingSink(sink, counts)),
  });
}

function countingSink(sink: GenerationSink, counts: TokenCounts): GenerationSink {
  let promptCounted = false;
  return {
    delta: (delta) => {
      if (!promptCounted) {
        promptCounted = true;
        counts.promptTokens += delta.promptTokens;
        counts.cachedTokens += delta.cachedTokens;
      }
      counts.generatedTokens += delta.tokenIds.length;
      sink.delta(delta);
    },
    failed: (error) => sink.failed(error),
  };
}

/** What the line of throughput is made of. */
export interface TrafficSample {
  readonly elapsedMs: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly loads: readonly EngineLoad[];
}

/**
 * The line that vLLM's users know (vllm/v1/metrics/loggers.py, LoggingStatLogger.log), or undefined when nothing has
 * moved and nothing runs.
 */
export function trafficLine(sample: TrafficSample): string | undefined {
  const { elapsedMs, promptTokens, cachedTokens, generatedTokens, loads } = sample;
  const running = sum(loads, (load) => load.runningRequests);
  const waiting = sum(loads, (load) => load.waitingRequests);
  if (promptTokens + generatedTokens + running + waiting === 0) return undefined;
  const perSecond = (tokens: number): string => ((tokens * 1000) / elapsedMs).toFixed(1);
  const share = (part: number, whole: number): string => (whole === 0 ? 0 : (part / whole) * 100).toFixed(1);
  const used = sum(loads, (load) => load.usedKvTokens);
  const cells = sum(loads, (load) => load.kvCacheTokens);
  return [
    `Avg prompt throughput: ${perSecond(promptTokens)} tokens/s`,
    `Avg generation throughput: ${perSecond(generatedTokens)} tokens/s`,
    `Running: ${running} reqs`,
    `Waiting: ${waiting} reqs`,
    `KV cache usage: ${share(used, cells)}%`,
    `Prefix cache hit rate: ${share(cachedTokens, promptTokens)}%`,
  ].join(", ");
}

function sum(loads: readonly EngineLoad[], of: (load: EngineLoad) => number): number {
  return loads.reduce((total, load) => total + of(load), 0);
}

/** Every so often, one line in the log while there is traffic. */
const intervalMs = 10_000;

/** Logs {@link trafficLine} every 10 seconds; answers a function that ends this. */
export function logTraffic(engine: Engine, counts: TokenCounts, log: Log): () => void {
  let lastMs = performance.now();
  let last: TokenCounts = { ...counts };
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const line = trafficLine({
      elapsedMs: nowMs - lastMs,
      promptTokens: counts.promptTokens - last.promptTokens,
      cachedTokens: counts.cachedTokens - last.cachedTokens,
      generatedTokens: counts.generatedTokens - last.generatedTokens,
      loads: engine.state.t === "ready" ? engine.loads() : [],
    });
    lastMs = nowMs;
    last = { ...counts };
    if (line !== undefined) log.info(line);
  }, intervalMs);
  // The statistics never keep a process alive that has nothing else to do.
  timer.unref();
  return () => clearInterval(timer);
}
