import type { ProbeConfiguration } from "./configuration.ts";
import type { Environment } from "./flag-readers.ts";
import { PlainFlags } from "./plain-flags.ts";
import { declareProbeFlags, withLongFlags } from "./probe-flags.ts";

/**
 * Reads the words after `probe` when they are plain, without the parser that the other commands need, and answers
 * undefined otherwise. Whatever it answers, `parseCommandLine` would answer the same. Throws a UsageError for a value
 * that is wrong.
 */
export function readPlainProbe(words: readonly string[], environment: Environment): ProbeConfiguration | undefined {
  const flags = new PlainFlags();
  const read = declareProbeFlags(flags);
  return flags.parse(withLongFlags(words)) ? read(environment) : undefined;
}
