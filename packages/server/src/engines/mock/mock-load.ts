import type { EngineLoad, ModelFacts } from "../../engine/facts.ts";

/** What the scripted engine holds at a moment. */
export interface MockOccupancy {
  readonly runningRequests: number;
  readonly waitingRequests: number;
  readonly waitingPromptTokens: number;
  readonly usedKvTokens: number;
}

const rateWindowMs = 2000;
const hitRateWindowPrompts = 64;

/** Counts what an engine did, for {@link EngineLoad}'s rates. */
export class MockLoadMeter {
  /** Time and tokens of each step in the window, oldest first. */
  readonly #steps: { readonly atMs: number; readonly tokens: number }[] = [];
  #prompts: { readonly tokens: number; readonly cached: number }[] = [];

  stepped(atMs: number, tokens: number): void {
    this.#forgetUntil(atMs - rateWindowMs);
    this.#steps.push({ atMs, tokens });
  }

  prefilled(tokens: number, cached: number): void {
    this.#prompts = [...this.#prompts.slice(1 - hitRateWindowPrompts), { tokens, cached }];
  }

  load(facts: ModelFacts, occupancy: MockOccupancy, nowMs: number): EngineLoad {
    this.#forgetUntil(nowMs - rateWindowMs);
    const generated = this.#steps.reduce((sum, step) => sum + step.tokens, 0);
    const prompted = this.#prompts.reduce((sum, prompt) => sum + prompt.tokens, 0);
    const cached = this.#prompts.reduce((sum, prompt) => sum + prompt.cached, 0);
    return {
      dpRank: 0,
      ...occupancy,
      kvCacheTokens: facts.kvCacheTokens,
      generatedTokensPerSecond: (generated * 1000) / rateWindowMs,
      cacheHitRate: prompted === 0 ? 0 : cached / prompted,
      maxRunningRequests: facts.maxNumSeqs,
    };
  }

  #forgetUntil(atMs: number): void {
    while ((this.#steps[0]?.atMs ?? Number.POSITIVE_INFINITY) <= atMs) this.#steps.shift();
  }
}
