/**
 * The command line or the environment asks for something that cannot be done. `message` is one sentence for the user:
 * which flag, which value, what is allowed. Nothing has been started when it is thrown.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "TOKENWIRE_USAGE";
}
