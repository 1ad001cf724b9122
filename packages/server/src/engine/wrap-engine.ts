import type { Engine } from "./engine.ts";

/** The methods through which work enters an engine, which an observer takes over. */
type WorkEntrances = Pick<Engine, "generate" | "embed">;

/** An engine with the given methods in place of its own; everything else is the engine's own, read at each call. */
export function wrapEngine(engine: Engine, taken: Partial<WorkEntrances>): Engine {
  return {
    get name() {
      return engine.name;
    },
    get state() {
      return engine.state;
    },
    get progress() {
      return engine.progress;
    },
    get processIds() {
      return engine.processIds ?? [];
    },
    get kvEvents() {
      return engine.kvEvents;
    },
    get reportsSteps() {
      return engine.reportsSteps ?? false;
    },
    get profiler() {
      return engine.profiler;
    },
    get pausedBecause() {
      return engine.pausedBecause;
    },
    onState: (listener) => engine.onState(listener),
    start: () => engine.start(),
    facts: () => engine.facts(),
    generate: (request, sink) => engine.generate(request, sink),
    abort: (requestId) => engine.abort(requestId),
    embed: (request, signal) => engine.embed(request, signal),
    checkHealth: () => engine.checkHealth(),
    loads: () => engine.loads(),
    tokenizerFiles: () => engine.tokenizerFiles(),
    flushCache: () => engine.flushCache(),
    close: (graceMs) => engine.close(graceMs),
    ...taken,
  };
}
