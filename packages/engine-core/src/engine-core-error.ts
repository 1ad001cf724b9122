/** What ended or refused something between us and an engine core, with the facts that explain it. */
export type EngineCoreFault =
  /** The engine has not said READY, or its connection is not there (again) yet. */
  | { readonly kind: "not-ready" }
  /** This engine will not answer any more. Sticky until it is replaced. */
  | { readonly kind: "dead"; readonly engineIndex: number; readonly cause: DeathCause }
  /**
   * Bytes from outside that are not what the wire says. With `lostOutputsOf`, outputs of that engine were in them, and any of
   * its requests may miss tokens now: end them all.
   */
  | { readonly kind: "bad-frame"; readonly lostOutputsOf?: number | undefined }
  /** A request that the engine must not see: it would die of it, or go deaf. `field` is the name on the wire. */
  | { readonly kind: "invalid-request"; readonly field: string }
  /** The engine answered a utility call with a failure. */
  | { readonly kind: "call-failed"; readonly method: string }
  /** A socket cannot be bound: the address is taken, or is none. */
  | { readonly kind: "cannot-bind"; readonly address: string }
  /** The mock engine cannot load the package `zeromq`. */
  | { readonly kind: "no-zeromq" }
  /** {@link EngineCoreClient.close} was called. */
  | { readonly kind: "closed" };

/**
 * How a death was noticed:
 * - `said-so`: the frame ENGINE_CORE_DEAD;
 * - `input-lost`: nobody reads the engine's input any more. Its process is gone or deaf, or the network between broke; then
 *   the same process may come back (`onReturn`), but what was on its way to it is lost;
 * - `handshake-again`: the same rank said HELLO again, so the process that we knew is gone;
 * - `told`: the process's owner saw it exit.
 */
export type DeathCause = "said-so" | "input-lost" | "handshake-again" | "told";

/** The one error of this package; `message` is a sentence, match on `fault.kind`. */
export class EngineCoreError extends Error {
  override readonly name = "EngineCoreError";
  readonly fault: EngineCoreFault;

  constructor(fault: EngineCoreFault, sentence: string, options?: { readonly cause?: unknown }) {
    super(sentence, options);
    this.fault = fault;
  }
}

export function badFrame(sentence: string): EngineCoreError {
  return new EngineCoreError({ kind: "bad-frame" }, sentence);
}
