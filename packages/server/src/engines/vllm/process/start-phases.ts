/** What a line of vLLM's log says of the start: how far it is, in [0, 1]. */
export interface StartPhase {
  readonly fraction: number;
  /** A word or two for the log. */
  readonly name: string;
}

/** Lines of vLLM 0.28 to 0.33, in the order in which they come; shares of the time as measured with a small model. */
const phases: readonly { readonly pattern: RegExp; readonly phase: StartPhase }[] = [
  { pattern: /Launching \d+ data parallel engine/, phase: { fraction: 0.3, name: "starting processes" } },
  { pattern: /Initializing a V\d LLM engine/, phase: { fraction: 0.45, name: "initializing the engine" } },
  { pattern: /Starting to load model/, phase: { fraction: 0.6, name: "loading the model" } },
  { pattern: /Loading weights took/, phase: { fraction: 0.85, name: "model loaded" } },
  { pattern: /KV cache size|# \w+ blocks/, phase: { fraction: 0.9, name: "KV cache made" } },
  { pattern: /init engine .*took/, phase: { fraction: 0.97, name: "engine initialized" } },
];
const shards = /checkpoint shards:\s+(\d{1,3})% Completed/;
const loadingFrom = 0.6;
const loadingTo = 0.85;

/** Undefined for a line that says nothing of it. */
export function startPhaseOf(line: string): StartPhase | undefined {
  const percent = shards.exec(line)?.[1];
  if (percent !== undefined) {
    const share = Math.min(Number(percent), 100) / 100;
    return { fraction: loadingFrom + (loadingTo - loadingFrom) * share, name: "loading the model" };
  }
  return phases.find(({ pattern }) => pattern.test(line))?.phase;
}
