/** Where a text is cut: a stop string and the index at which it begins. */
export interface FoundStop {
  readonly stop: string;
  readonly at: number;
}

/** The stop string that begins first in the text; of two that begin together the one given first. */
export function firstStop(text: string, stops: readonly string[]): FoundStop | undefined {
  let found: FoundStop | undefined;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at >= 0 && (found === undefined || at < found.at)) found = { stop, at };
  }
  return found;
}
