import type { KvCacheEvent } from "../../../engine/kv-events.ts";
import type { KvCacheEvent as EventMessage } from "../../../generated/common.ts";

/** An event as it goes over the wire. A gap says cleared: what the reader believes may be wrong. */
export function eventMessage(event: KvCacheEvent, eventId: bigint): EventMessage {
  switch (event.t) {
    case "stored":
      return {
        eventId,
        data: {
          $case: "stored",
          value: {
            parentBlockHash: event.parentHash,
            loraName: event.loraName,
            blocks: event.blocks.map(({ hash, tokenIds }) => ({
              blockHash: hash,
              tokenIds: tokenIds as number[],
              blockSize: tokenIds.length,
              extraKeys: [],
            })),
          },
        },
      };
    case "removed":
      return { eventId, data: { $case: "removed", value: { blockHashes: event.hashes as bigint[] } } };
    case "cleared":
    case "gap":
      return { eventId, data: { $case: "cleared", value: {} } };
  }
}
