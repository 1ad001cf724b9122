import { kvBlockHash } from "../../engine/kv-block-hash.ts";
import type { KvBlock, KvCacheEvent } from "../../engine/kv-events.ts";

/** The events that tell of these prompts' full blocks. What two of them share is told once. */
export function storedPrefixes(prefixes: readonly (readonly number[])[], blockSizeTokens: number): KvCacheEvent[] {
  const told = new Set<bigint>();
  const events: KvCacheEvent[] = [];
  for (const prefix of prefixes) {
    let hash: bigint | undefined;
    let parentHash: bigint | undefined;
    const blocks: KvBlock[] = [];
    for (let first = 0; first + blockSizeTokens <= prefix.length; first += blockSizeTokens) {
      const tokenIds = prefix.slice(first, first + blockSizeTokens);
      hash = kvBlockHash(hash, tokenIds);
      if (told.has(hash)) {
        parentHash = hash;
        continue;
      }
      told.add(hash);
      blocks.push({ hash, tokenIds });
    }
    if (blocks.length > 0) events.push({ t: "stored", parentHash, blocks });
  }
  return events;
}
