import { randomUUID } from "node:crypto";
import type { Engine } from "../../engine/engine.ts";
import { EngineError, type EngineErrorKind } from "../../engine/errors.ts";
import type { ModelFacts } from "../../engine/facts.ts";
import type { Log } from "../../operations/log.ts";
import type { Call } from "../../rpc/call.ts";
import { GrpcStatusError, type StatusName } from "../../rpc/status.ts";

const statusOfKind: Readonly<Record<EngineErrorKind, StatusName>> = {
  "invalid-argument": "INVALID_ARGUMENT",
  "failed-precondition": "FAILED_PRECONDITION",
  "resource-exhausted": "RESOURCE_EXHAUSTED",
  unavailable: "UNAVAILABLE",
  unimplemented: "UNIMPLEMENTED",
  internal: "INTERNAL",
};

/**
 * The status that a client gets for what an engine threw.
 *
 * Our own bugs become INTERNAL with an id instead of their text; the log has the text under the same id.
 */
export function statusOf(thrown: unknown, log: Log): GrpcStatusError {
  if (thrown instanceof GrpcStatusError) return thrown;
  const error = EngineError.from(thrown);
  if (error.kind === "internal") {
    const id = randomUUID();
    log.error({ id, err: error }, "internal error");
    return GrpcStatusError.of("INTERNAL", `internal error ${id}; the server's log has its cause`, { cause: thrown });
  }
  const named = error.field === undefined || error.message.startsWith(error.field);
  const details = named ? error.message : `${error.field}: ${error.message}`;
  return GrpcStatusError.of(statusOfKind[error.kind], details, { cause: thrown });
}

/** Wraps a handler so that nothing but a {@link GrpcStatusError} leaves it. */
export function withEngineStatus<Request, C extends Call, Answer>(
  log: Log,
  handler: (request: Request, call: C) => Promise<Answer>,
): (request: Request, call: C) => Promise<Answer> {
  return async (request, call) => {
    try {
      return await handler(request, call);
    } catch (thrown) {
      throw statusOf(thrown, log);
    }
  };
}

/** Why the engine takes no work now, as a sentence; undefined when it does. */
export function whyNotReady(engine: Engine): string | undefined {
  const { state } = engine;
  switch (state.t) {
    case "ready":
      return undefined;
    case "idle":
    case "starting":
      return "the engine is starting";
    case "dead":
      return `the engine is dead: ${state.reason}`;
    case "closed":
      return "the engine is closed";
  }
}

/** @throws GrpcStatusError UNAVAILABLE with the reason, unless the engine is ready. */
export function requireReady(engine: Engine): void {
  const reason = whyNotReady(engine);
  if (reason !== undefined) throw GrpcStatusError.of("UNAVAILABLE", reason);
}

/**
 * The model's facts of an engine that was ready once, also while it is dead or starts again, since they do not change by
 * that; undefined before.
 */
export function knownFacts(engine: Engine): ModelFacts | undefined {
  try {
    return engine.facts();
  } catch (thrown) {
    if (thrown instanceof EngineError && thrown.kind === "unavailable") return undefined;
    throw thrown;
  }
}

/**
 * The model's facts, to check a request with: a wrong one is refused also while the engine is away, so that nobody tries
 * it elsewhere. Ask {@link requireReady} when it was found right.
 *
 * @throws GrpcStatusError UNAVAILABLE before the engine was ready once.
 */
export function factsToCheckWith(engine: Engine): ModelFacts {
  const facts = knownFacts(engine);
  if (facts === undefined) requireReady(engine);
  return facts ?? engine.facts();
}
