import type { Clock } from "../clock.ts";
import { NumberHeap } from "./number-heap.ts";

/** Deadlines within so many milliseconds share a timer and fire together, never early. */
const bucketMs = 8;

/** An order so short is not worth the look at which of its buckets are gone. */
const leastOrder = 1_024;

/** What ends at a deadline. */
export interface Expiring {
  expire(): void;
}

/**
 * Many deadlines on one timer. Adding and removing cost a set operation each, and firing what is due: a client with very
 * many deadlines, each a little apart, must not make every one of them look at all.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #buckets = new Map<number, Set<Expiring>>();
  /** Numbers of the buckets, and of some that are empty by now and gone. */
  readonly #order = new NumberHeap();
  #nextBucket = Number.POSITIVE_INFINITY;
  #cancelTimer: () => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Numbers and sets that are kept, those of the past included. */
  get held(): number {
    return this.#order.size + this.#buckets.size;
  }

  /** Calls `expire` at the time, by the clock's `nowMs`, unless removed before. Answers what to remove it by. */
  add(item: Expiring, atMs: number): number {
    const bucket = Math.ceil(atMs / bucketMs);
    const items = this.#buckets.get(bucket);
    if (items === undefined) this.#open(bucket, item);
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
    this.#order.replace([]);
    this.#nextBucket = Number.POSITIVE_INFINITY;
  }

  #open(bucket: number, item: Expiring): void {
    this.#buckets.set(bucket, new Set([item]));
    this.#order.add(bucket);
    // Calls end long before their deadlines, most of them: what they leave behind must not pile up.
    if (this.#order.size > leastOrder && this.#order.size > 2 * this.#buckets.size) {
      this.#order.replace(this.#buckets.keys());
    }
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
    let next = this.#order.least;
    while (next !== undefined) {
      const items = this.#buckets.get(next);
      if (items !== undefined && next * bucketMs > nowMs) {
        this.#arm(next);
        break;
      }
      if (items !== undefined) due.push(items);
      this.#buckets.delete(next);
      this.#order.take();
      next = this.#order.least;
    }
    for (const items of due) for (const item of items) item.expire();
  }
}
