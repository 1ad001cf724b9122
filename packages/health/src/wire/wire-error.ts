/** Bytes that are not the message they should be. `message` names the message, the field and the fault. */
export class WireError extends Error {
  override readonly name = "WireError";
}
