/**
 * Longest service name that is accepted, in bytes of UTF-8. The protocol names no bound; this one keeps what a stranger
 * can make the server hold per watch small, and is far above any proto service name.
 */
export const maxServiceNameBytes = 1024;

/** Throws a RangeError when nobody could ask for this name: too long, or not valid Unicode (a lone surrogate). */
export function assertServiceName(service: string): void {
  if (!service.isWellFormed()) throw new RangeError("service name: not valid Unicode (a lone surrogate)");
  const bytes = Buffer.byteLength(service);
  if (bytes > maxServiceNameBytes) {
    throw new RangeError(`service name: ${bytes} bytes, at most ${maxServiceNameBytes} are allowed`);
  }
}
