import { refuse, words } from "./refuse.ts";

const longest = 256;
/** Control, format, unassigned and private characters, lone surrogates, and line and paragraph separators. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u;

/** Checks `request_id`: 1 to 256 printable characters, because it goes into logs and engines. */
export function validateRequestId(requestId: string): string {
  if (requestId === "") refuse("request_id", "empty", requestId, `1 to ${longest} printable characters`);
  if (requestId.length > longest) {
    refuse("request_id", "too long", words(`${requestId.length} characters`), `1 to ${longest} printable characters`);
  }
  if (unprintable.test(requestId)) {
    refuse("request_id", "not printable", requestId, `1 to ${longest} printable characters`);
  }
  return requestId;
}
