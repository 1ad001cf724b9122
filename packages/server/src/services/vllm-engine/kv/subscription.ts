import type { KvEventBatch, SubscribeKvEventsRequest } from "../../../generated/common.ts";
import { endOf, type ServerStreamingCall } from "../../../rpc/call.ts";
import type { GrpcStatusError } from "../../../rpc/status.ts";
import { eventMessage } from "./event-messages.ts";
import { briefly, hasMoved, type LoadRecord } from "./load-record.ts";
import type { CacheSnapshot, RankEvents } from "./rank-events.ts";

/** How one subscriber stands with one rank. */
interface Reader {
  readonly rank: RankEvents;
  /** It knows everything up to here; undefined when it has to be given a snapshot first. */
  sequence: number | undefined;
  /** A snapshot that is on its way, and the part that comes next. */
  sending: { readonly snapshot: CacheSnapshot; part: number } | undefined;
  /** True once a batch went out, or when load records are wanted before. */
  wantsLoads: boolean;
  lastLoad: { readonly record: LoadRecord; readonly atMs: number } | undefined;
  loadIsDue: boolean;
}

export interface SubscriptionOptions {
  readonly call: ServerStreamingCall<KvEventBatch>;
  readonly request: SubscribeKvEventsRequest;
  /** The load of a rank now; undefined while the engine takes no work. */
  readonly load: (dpRank: number) => LoadRecord | undefined;
  readonly nowMs: () => number;
  /** Seconds since the epoch. */
  readonly timestampS: () => number;
}

/** An unchanged load is said again after this time, as a sign of life. */
const heartbeatMs = 1_000;

/**
 * One stream of SubscribeKvEvents. It holds no backlog: it pulls what comes next when the client has room for it, a
 * batch from the history of the rank or, when that is gone, a snapshot of what the cache holds then.
 */
export class KvSubscription {
  /** Rejects when the stream has to end, with its status. Never resolves: there is always more to come. */
  readonly done: Promise<never>;
  readonly #options: SubscriptionOptions;
  readonly #readers: Reader[] = [];
  readonly #end = Promise.withResolvers<never>();
  #eventIds = 0n;
  #samples = 0n;
  #waitsForRoom = false;
  #ended = false;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.done = this.#end.promise;
    const { call } = options;
    const cut = (): void => {
      const reason = endOf(call);
      if (reason !== undefined) this.end(reason);
    };
    call.signal.addEventListener("abort", cut, { once: true });
    cut();
  }

  /** Follows a rank from where the client left off. Begins with a snapshot where the history does not reach back. */
  follow(rank: RankEvents): void {
    const { startSequenceNumber, loadRecordsBeforeFirstBatch } = this.#options.request;
    const start = Number(startSequenceNumber);
    const knowsAll = start === 0 ? !rank.hasBegun : rank.reaches(start);
    this.#readers.push({
      rank,
      sequence: knowsAll ? start || rank.sequence : undefined,
      sending: undefined,
      wantsLoads: loadRecordsBeforeFirstBatch,
      lastLoad: undefined,
      loadIsDue: false,
    });
  }

  /** Events came. */
  wake(): void {
    if (this.#ended || this.#waitsForRoom) return;
    for (let message = this.#next(); message !== undefined; message = this.#next()) {
      if (this.#options.call.write(message)) continue;
      this.#waitsForRoom = true;
      void this.#options.call.drained().then(() => {
        this.#waitsForRoom = false;
        this.wake();
      });
      return;
    }
  }

  /** Time has passed: loads may have moved. */
  tick(): void {
    if (this.#ended) return;
    for (const reader of this.#readers) reader.loadIsDue = true;
    this.wake();
  }

  end(status: GrpcStatusError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#end.reject(status);
  }

  #next(): KvEventBatch | undefined {
    // A call that has ended takes everything and has room at once, for ever.
    if (this.#ended || this.#options.call.signal.aborted) return undefined;
    for (const reader of this.#readers) {
      const batch = this.#nextEvents(reader);
      if (batch !== undefined) return batch;
    }
    // Loads after events, so that a record never is of a later time than the events beside it.
    for (const reader of this.#readers) {
      const batch = this.#nextLoad(reader);
      if (batch !== undefined) return batch;
    }
    return undefined;
  }

  #nextEvents(reader: Reader): KvEventBatch | undefined {
    const { rank } = reader;
    if (reader.sending !== undefined) return this.#snapshotPart(reader, reader.sending);
    if (reader.sequence === rank.sequence) return undefined;
    const batch = reader.sequence === undefined ? undefined : rank.after(reader.sequence);
    if (batch === undefined) {
      reader.sending = { snapshot: rank.snapshot(), part: 0 };
      return this.#snapshotPart(reader, reader.sending);
    }
    reader.sequence = batch.sequence;
    reader.wantsLoads = true;
    return {
      sequenceNumber: BigInt(batch.sequence),
      timestamp: batch.timestampS,
      events: batch.events.map((event) => eventMessage(event, this.#eventIds++)),
      dpRank: rank.dpRank,
      snapshot: undefined,
      load: this.#loadBeside(reader),
    };
  }

  #snapshotPart(reader: Reader, sending: { readonly snapshot: CacheSnapshot; part: number }): KvEventBatch {
    const { snapshot } = sending;
    const count = snapshot.parts.length;
    const index = sending.part++;
    const sequence = snapshot.sequence - count + 1 + index;
    const stored = snapshot.parts[index] ?? [];
    const events = index === 0 ? [{ t: "cleared" } as const, ...stored] : stored;
    if (sending.part === count) {
      reader.sending = undefined;
      reader.sequence = snapshot.sequence;
      reader.wantsLoads = true;
    }
    return {
      sequenceNumber: BigInt(sequence),
      timestamp: snapshot.timestampS === 0 ? this.#options.timestampS() : snapshot.timestampS,
      events: events.map((event) => eventMessage(event, this.#eventIds++)),
      dpRank: reader.rank.dpRank,
      snapshot: {
        index,
        count,
        blocks: BigInt(snapshot.blocks),
        unknownBefore: BigInt(snapshot.unknownBefore),
      },
      load: this.#loadBeside(reader),
    };
  }

  #loadBeside(reader: Reader): KvEventBatch["load"] {
    const record = this.#options.load(reader.rank.dpRank);
    return record === undefined ? undefined : this.#say(reader, record, false);
  }

  #nextLoad(reader: Reader): KvEventBatch | undefined {
    if (!reader.loadIsDue || !reader.wantsLoads) return undefined;
    reader.loadIsDue = false;
    const { rank, lastLoad } = reader;
    const record = this.#options.load(rank.dpRank);
    if (record === undefined) return undefined;
    const isHeartbeat = lastLoad === undefined || this.#options.nowMs() - lastLoad.atMs >= heartbeatMs;
    if (!isHeartbeat && !hasMoved(lastLoad.record, record)) return undefined;
    // A number that no batch has carried to this client says nothing to it.
    const isKnown = rank.hasBegun || this.#options.request.startSequenceNumber > 0n;
    return {
      sequenceNumber: isKnown ? BigInt(rank.sequence) : 0n,
      timestamp: this.#options.timestampS(),
      events: [],
      dpRank: rank.dpRank,
      snapshot: undefined,
      load: this.#say(reader, record, true, isHeartbeat),
    };
  }

  #say(reader: Reader, record: LoadRecord, loadOnly: boolean, isHeartbeat = false): KvEventBatch["load"] {
    const isFirst = reader.lastLoad === undefined;
    reader.lastLoad = { record, atMs: this.#options.nowMs() };
    return { ...(isFirst || isHeartbeat ? record : briefly(record)), sample: this.#samples++, loadOnly };
  }
}
