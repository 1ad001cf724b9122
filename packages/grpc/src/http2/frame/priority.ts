import { maxInt31, readUint32 } from "./frame-header.ts";

/** Length of a PRIORITY frame's payload (RFC 9113 section 6.3). Its content means nothing any more. */
export const priorityPayloadBytes = 5;

/** The stream that a PRIORITY frame names as its parent. */
export function readPriorityDependency(bytes: Uint8Array, start: number): number {
  return readUint32(bytes, start) & maxInt31;
}
