import type { KvEventBatch, KvEventListener, KvEventSource } from "./kv-events.ts";

/** The listeners of one engine's KV events. */
export class KvEventFeed implements KvEventSource {
  readonly #listeners = new Set<KvEventListener>();

  onEvents(listener: KvEventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Tells everybody; a batch without events is nobody's news. */
  publish(batch: KvEventBatch): void {
    if (batch.events.length === 0) return;
    for (const listener of this.#listeners) listener(batch);
  }
}
