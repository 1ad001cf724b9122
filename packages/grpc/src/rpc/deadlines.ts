import type { Clock } from "../clock.ts";

/** Deadlines within so many milliseconds share a timer and fire together, never early. */
const bucketMs = 8;

/** What ends at a deadline. */
export interface Expiring {
  expire(): void;
}

/** Many deadlines on one timer. Adding and removing costs a set operation each, whatever the time. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #buckets = new Map<number, Set<Expiring>>();
  #nextBucket = Number.POSITIVE_INFINITY;
  #cancelTimer: () => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `expire` at the time, by the clock's `nowMs`, unless removed before. Answers what to remove it by. */
  add(item: Expiring, atMs: number): number {
    const bucket = Math.ceil(atMs / bucketMs);
    const items = this.#buckets.get(bucket);
    if (items === undefined) this.#buckets.set(bucket, new Set([item]));
    else items.add(item);
    if (bucket < this.#nextBucket) this.#arm(bucket);
    return bucket;
  }

  remove(item: Expiring, bucket: number): void {
    const items = this.#buckets.get(bucket);
    if (items?.delete(item) === true && items.size === 0) this.#buckets.delete(bucket);
  }

  /** Forgets everything. */
  close(): void {
    this.#cancelTimer();
    this.#buckets.clear();
    this.#nextBucket = Number.POSITIVE_INFINITY;
  }

  #arm(bucket: number): void {
    this.#cancelTimer();
    this.#nextBucket = bucket;
    this.#cancelTimer = this.#clock.after(Math.max(0, bucket * bucketMs - this.#clock.nowMs()), () => this.#fire());
  }

  #fire(): void {
    const nowMs = this.#clock.nowMs();
    this.#nextBucket = Number.POSITIVE_INFINITY;
    const due: Set<Expiring>[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [bucket, items] of this.#buckets) {
      if (bucket * bucketMs <= nowMs) {
        due.push(items);
        this.#buckets.delete(bucket);
      } else if (bucket < next) next = bucket;
    }
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
    for (const items of due) for (const item of items) item.expire();
  }
}
