/**
 * Why a constraint cannot be served, as a sentence for the client. Thrown inside this folder only: `toGbnf` gives it the
 * proto field and makes it an `EngineError` of kind invalid-argument.
 */
export class ConstraintError extends Error {
  override readonly name = "ConstraintError";
}
