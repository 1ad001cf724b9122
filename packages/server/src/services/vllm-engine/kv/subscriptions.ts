import type { Engine } from "../../../engine/engine.ts";
import type { KvEventBatch as EngineBatch } from "../../../engine/kv-events.ts";
import type { KvEventBatch, SubscribeKvEventsRequest } from "../../../generated/common.ts";
import type { Clock } from "../../../operations/clock.ts";
import type { ServerStreamingCall } from "../../../rpc/call.ts";
import { GrpcStatusError } from "../../../rpc/status.ts";
import { type LoadRecord, loadRecord } from "./load-record.ts";
import { type HistoryBounds, historyBounds, RankEvents } from "./rank-events.ts";
import { KvSubscription } from "./subscription.ts";
import type { WorkInFlight } from "./work-in-flight.ts";

export interface KvSubscriptionsOptions {
  readonly engine: Engine;
  readonly work: WorkInFlight;
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Default: {@link historyBounds}. */
  readonly bounds?: HistoryBounds;
}

/** How often loads are looked at while somebody listens: the least time between two records that were not asked for. */
const tickMs = 100;
/** A gateway has one; more than this is a mistake somewhere. */
const mostSubscribers = 256;
/**
 * The numbers of a server begin at its start in milliseconds times this, so that no number of an earlier one is among
 * them (unless more batches than this came in every millisecond), and all stay below 2^53 until the year 2248.
 */
const numbersPerMs = 1_024;

/** The ranks' events and everybody who listens to them. Lives as long as the service and begins before the engine. */
export class KvSubscriptions {
  readonly #options: KvSubscriptionsOptions;
  readonly #base: number;
  readonly #ranks = new Map<number, RankEvents>();
  readonly #subscriptions = new Set<KvSubscription>();
  #stopTicking: (() => void) | undefined;

  constructor(options: KvSubscriptionsOptions) {
    this.#options = options;
    this.#base = Math.floor(options.now()) * numbersPerMs;
    options.engine.kvEvents?.onEvents((batch) => this.#accept(batch));
    options.engine.onState((state) => {
      if (state.t === "closed") this.#endAll("the engine is closed");
      else if (state.t === "dead" && state.restartInMs === undefined) this.#endAll(`the engine died: ${state.reason}`);
      else this.#tick();
    });
  }

  /**
   * Sends headers and begins to write to the call; the promise rejects with the status that ends it.
   *
   * @throws GrpcStatusError OUT_OF_RANGE for a number that was not given yet, RESOURCE_EXHAUSTED when too many listen.
   */
  async serve(call: ServerStreamingCall<KvEventBatch>, request: SubscribeKvEventsRequest): Promise<void> {
    this.#findRanks();
    const last = Math.max(this.#base, ...[...this.#ranks.values()].map(({ sequence }) => sequence));
    if (request.startSequenceNumber > BigInt(last)) {
      throw GrpcStatusError.of(
        "OUT_OF_RANGE",
        `start_sequence_number: ${request.startSequenceNumber} is after the last event, ${last}; subscribe from 0`,
      );
    }
    if (this.#subscriptions.size >= mostSubscribers) {
      throw GrpcStatusError.of("RESOURCE_EXHAUSTED", `${mostSubscribers} clients are subscribed already`);
    }
    call.sendHeaders();
    const { now, clock } = this.#options;
    const subscription = new KvSubscription({
      call,
      request,
      load: (dpRank) => this.#load(dpRank),
      nowMs: () => clock.nowMs(),
      timestampS: () => now() / 1000,
    });
    for (const rank of this.#ranks.values()) subscription.follow(rank);
    this.#subscriptions.add(subscription);
    this.#keepTicking();
    try {
      subscription.tick();
      await subscription.done;
    } finally {
      this.#subscriptions.delete(subscription);
      if (this.#subscriptions.size === 0) {
        this.#stopTicking?.();
        this.#stopTicking = undefined;
      }
    }
  }

  #accept({ dpRank, events }: EngineBatch): void {
    this.#rank(dpRank).accept(events, this.#options.now() / 1000);
    for (const subscription of this.#subscriptions) subscription.wake();
  }

  #rank(dpRank: number): RankEvents {
    const known = this.#ranks.get(dpRank);
    if (known !== undefined) return known;
    const rank = new RankEvents(dpRank, this.#base, this.#options.bounds ?? historyBounds);
    this.#ranks.set(dpRank, rank);
    for (const subscription of this.#subscriptions) subscription.follow(rank);
    return rank;
  }

  /** A rank has loads before it has events. */
  #findRanks(): void {
    const { engine } = this.#options;
    if (engine.state.t !== "ready") return;
    for (const { dpRank } of engine.loads()) this.#rank(dpRank);
  }

  #load(dpRank: number): LoadRecord | undefined {
    const { engine, work, clock } = this.#options;
    // An engine that takes no work has no load; without records a gateway stops sending.
    if (engine.state.t !== "ready") return undefined;
    const loads = engine.loads();
    const figures = loads.find((load) => load.dpRank === dpRank);
    if (figures === undefined) return undefined;
    const { progress, reportsSteps = false } = engine;
    // With nothing in flight nothing can have changed since.
    const isOld = work.requests > 0 && progress !== undefined;
    const ageMs = isOld ? Math.max(0, clock.nowMs() - progress.receivedAtMs) : 0;
    return loadRecord({ figures, work, ranks: loads.length, reportsSteps, ageMs });
  }

  #keepTicking(): void {
    if (this.#stopTicking !== undefined) return;
    this.#stopTicking = this.#options.clock.after(tickMs, () => {
      this.#stopTicking = undefined;
      this.#tick();
      if (this.#subscriptions.size > 0) this.#keepTicking();
    });
  }

  #tick(): void {
    if (this.#subscriptions.size === 0) return;
    this.#findRanks();
    for (const subscription of this.#subscriptions) subscription.tick();
  }

  #endAll(why: string): void {
    for (const subscription of this.#subscriptions) subscription.end(GrpcStatusError.of("UNAVAILABLE", why));
  }
}
