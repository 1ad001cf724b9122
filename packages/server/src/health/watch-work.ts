import type { Engine } from "../engine/engine.ts";
import type { GenerationSink } from "../engine/output.ts";
import { promptTokensOf } from "../engine/prompt-tokens.ts";
import { wrapEngine } from "../engine/wrap-engine.ts";
import type { Clock } from "../operations/clock.ts";
import type { WorkLedger } from "./work-ledger.ts";

/** An engine whose requests and outputs are written into the ledger. Everything else is the engine's own. */
export function watchWork(engine: Engine, ledger: WorkLedger, clock: Clock): Engine {
  return wrapEngine(engine, {
    generate: (request, sink) => {
      engine.generate(request, watchedSink(request.id, sink, ledger, clock));
      const slots = engine.loads().reduce((sum, load) => sum + load.maxRunningRequests, 0);
      ledger.generationTaken(request.id, promptTokensOf(request.prompt), request.sampling.n, slots, clock.nowMs());
    },
    embed: async (request, signal) => {
      const done = ledger.embeddingTaken(request.tokenIds.length, clock.nowMs());
      try {
        const embedding = await engine.embed(request, signal);
        done(true, clock.nowMs());
        return embedding;
      } catch (thrown) {
        done(false, clock.nowMs());
        throw thrown;
      }
    },
  });
}

function watchedSink(id: string, sink: GenerationSink, ledger: WorkLedger, clock: Clock): GenerationSink {
  return {
    delta: (delta) => {
      ledger.moved(id, delta, delta.finish !== undefined, clock.nowMs());
      sink.delta(delta);
    },
    failed: (error) => {
      ledger.generationFailed(id);
      sink.failed(error);
    },
  };
}
