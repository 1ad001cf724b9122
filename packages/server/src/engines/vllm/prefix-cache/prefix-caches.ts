import type { EngineCoreError, KvEventFollower, KvEventsSource, ReadyFacts } from "@tokenwire/engine-core";
import { KvEventFeed } from "../../../engine/kv-event-feed.ts";
import type { KvCacheEvent } from "../../../engine/kv-events.ts";
import type { Log } from "../../../operations/log.ts";
import { RankBlocks } from "./rank-blocks.ts";

/** A publisher that is there answers within a moment; one that is not is tried on while the engine serves. */
const readyLimitMs = 1_000;

/** An engine whose events are to be followed. */
export interface PublishingEngine {
  readonly facts: ReadyFacts;
  /** The machine that it is on; undefined for this one. */
  readonly host: string | undefined;
  /** It may have served somebody before, so its cache need not be empty. */
  readonly wasRunning: boolean;
}

/**
 * What the prefix caches of all ranks hold, from the events that vLLM publishes when it is started with
 * `--kv-events-config`. An engine that publishes none tells nothing. Who makes it closes it.
 */
export class PrefixCaches {
  readonly feed: KvEventFeed = new KvEventFeed();
  readonly #log: Log;
  /** By rank; what does not stand here any more is not heard. */
  readonly #ranks = new Map<number, RankCache>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Resolves when it is known what the engine holds, or when it is clear that this takes time or will not happen. Never rejects. */
  async follow({ facts, host, wasRunning }: PublishingEngine): Promise<void> {
    const rank = facts.engineIndex;
    const { kvEventsSource } = await import("@tokenwire/engine-core");
    const source = kvEventsSource(facts, host);
    this.#ranks.get(rank)?.close();
    if (source === undefined) {
      this.#ranks.delete(rank);
      return;
    }
    const publish = (events: readonly KvCacheEvent[]): void => this.feed.publish({ dpRank: rank, events });
    const cache = new RankCache(rank, source, this.#log, publish);
    this.#ranks.set(rank, cache);
    await cache.open(wasRunning);
  }

  /** A rank's engine is gone, and what it held with it. */
  lost(rank: number): void {
    const cache = this.#ranks.get(rank);
    if (cache === undefined) return;
    this.#ranks.delete(rank);
    cache.close();
    this.feed.publish({ dpRank: rank, events: [{ t: "cleared" }] });
  }

  /** A rank has emptied its cache. vLLM publishes that only with its next step. */
  flushed(rank: number): void {
    this.#ranks.get(rank)?.flushed();
  }

  close(): void {
    for (const cache of this.#ranks.values()) cache.close();
    this.#ranks.clear();
  }
}

class RankCache {
  readonly #source: KvEventsSource;
  /** What each of its log lines says. */
  readonly #about: { readonly engine: "vllm"; readonly rank: number; readonly address: string };
  readonly #log: Log;
  readonly #publish: (events: readonly KvCacheEvent[]) => void;
  readonly #blocks = new RankBlocks();
  #follower: KvEventFollower | undefined;
  #hasSeenBadFrame = false;
  #isClosed = false;

  constructor(rank: number, source: KvEventsSource, log: Log, publish: (events: readonly KvCacheEvent[]) => void) {
    this.#about = { engine: "vllm", rank, address: source.address };
    this.#source = source;
    this.#log = log;
    this.#publish = publish;
  }

  async open(beginsUnknown: boolean): Promise<void> {
    const { followKvEvents } = await import("@tokenwire/engine-core");
    try {
      this.#follower = await followKvEvents({
        source: this.#source,
        beginsUnknown,
        onBatch: ({ events }) => this.#publish(this.#blocks.apply(events)),
        onGap: (sentence) => {
          this.#log.warn({ ...this.#about, reason: "kv-events-lost" }, sentence);
          this.#blocks.forget();
          this.#publish([{ t: "gap" }]);
        },
        onRestart: () => this.flushed(),
        onBadFrame: (error) => this.#badFrame(error),
      });
    } catch (thrown) {
      this.#log.warn(
        { ...this.#about, reason: "kv-events-unreachable", err: thrown },
        "the engine's KV events cannot be read",
      );
      if (beginsUnknown) this.#publish([{ t: "gap" }]);
      return;
    }
    if (this.#isClosed) this.#follower.close();
    else await this.#ready(this.#follower);
  }

  flushed(): void {
    this.#blocks.forget();
    this.#publish([{ t: "cleared" }]);
  }

  close(): void {
    this.#isClosed = true;
    this.#follower?.close();
  }

  async #ready({ ready }: KvEventFollower): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), readyLimitMs);
    });
    const outcome = await Promise.race([ready, limit]);
    clearTimeout(timer);
    if (outcome === "late") this.#log.warn(this.#about, "the engine's KV events are not there yet; they are tried on");
    else this.#log.debug(this.#about, "the engine's KV events are read");
  }

  /** Who sends what cannot be read may do so often. */
  #badFrame(error: EngineCoreError): void {
    const level = this.#hasSeenBadFrame ? "debug" : "warn";
    this.#hasSeenBadFrame = true;
    this.#log[level]({ ...this.#about, reason: "bad-frame", err: error }, error.message);
  }
}
