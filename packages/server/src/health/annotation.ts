import { sentenceOf, type Verdict } from "./verdict.ts";

/** Longest sentence in metadata; what the engine said of its death may be long. */
const maxDetailLength = 500;

/**
 * Why health answers as it does, as trailing metadata: `tokenwire-health-reason` is a stable word, and
 * `tokenwire-health-detail` a sentence. Printable ASCII only, as gRPC asks of metadata; anything else becomes a `?`.
 */
export function annotationOf(verdict: Verdict): Readonly<Record<string, string>> {
  const detail = sentenceOf(verdict).slice(0, maxDetailLength);
  return {
    "tokenwire-health-reason": verdict.reason,
    "tokenwire-health-detail": detail.replaceAll(/[^\x20-\x7e]/g, "?"),
  };
}
