import { badFrame } from "../engine-core-error.ts";
import { type Decoded, MessagePackReader } from "../protocol/msgpack/reader.ts";

/**
 * A change of an engine's prefix cache, as vLLM publishes it (vllm/distributed/kv_events.py at 0.32). A block's hash comes as
 * the lower 64 bits of vLLM's, signed, whether the engine publishes integers or bytes.
 */
export type EngineKvEvent =
  /** Blocks that follow one another. The same block may be stored again: each copy is told. */
  | {
      readonly t: "stored";
      readonly blockHashes: readonly bigint[];
      /** Undefined: the first block begins a prompt. */
      readonly parentBlockHash: bigint | undefined;
      readonly tokenIds: readonly number[];
      readonly blockSizeTokens: number;
      /** `GPU` for the engine's own cache; undefined where an older engine does not say it. */
      readonly medium: string | undefined;
      readonly loraName: string | undefined;
      /** For each block what its hash depends on besides the tokens: adapter, images, salt. Undefined: on nothing. */
      readonly extraKeys: readonly (readonly unknown[] | undefined)[] | undefined;
      /** A model whose layers cache differently has a group for each kind, and stores a block in each. */
      readonly groupIndex: number | undefined;
      /** e.g. `full_attention`. */
      readonly specKind: string | undefined;
    }
  /** One copy of each. */
  | {
      readonly t: "removed";
      readonly blockHashes: readonly bigint[];
      readonly medium: string | undefined;
      readonly groupIndex: number | undefined;
    }
  | { readonly t: "cleared" };

/** What one step of an engine changed. */
export interface EngineKvEvents {
  /** Seconds since the epoch, by the engine's clock. */
  readonly timestampS: number;
  readonly events: readonly EngineKvEvent[];
  readonly dataParallelRank: number | undefined;
}

/** The places of an event that comes as an array (vLLM before 0.29); later ones are maps with these keys. */
const places: ReadonlyMap<string, readonly string[]> = new Map([
  [
    "BlockStored",
    [
      ...["block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium", "lora_name"],
      ...["extra_keys", "group_idx", "kv_cache_spec_kind"],
    ],
  ],
  ["BlockRemoved", ["block_hashes", "medium", "group_idx"]],
]);

interface Fields {
  type?: string;
  blockHashes?: readonly bigint[];
  parentBlockHash?: bigint | undefined;
  tokenIds?: readonly number[];
  blockSizeTokens?: number;
  medium?: string | undefined;
  loraName?: string | undefined;
  extraKeys?: readonly (readonly unknown[] | undefined)[] | undefined;
  groupIndex?: number | undefined;
  specKind?: string | undefined;
}

/**
 * Reads the payload of a published message. Unknown keys, further places and events of unknown kinds are passed over. Throws
 * a bad frame.
 */
export function decodeKvEventBatch(payload: Uint8Array): EngineKvEvents {
  const reader = new MessagePackReader(payload);
  const length = reader.arrayHeader("a batch of KV events");
  if (length < 2) throw badFrame(`a batch of KV events has ${length} places, not 2 or more`);
  const timestampS = reader.value();
  if (typeof timestampS !== "number") throw badFrame("the time of a batch of KV events is no number");
  const events: EngineKvEvent[] = [];
  for (let left = reader.arrayHeader("KV events"); left > 0; left--) {
    const event = readEvent(reader);
    if (event !== undefined) events.push(event);
  }
  const dataParallelRank = length > 2 && !reader.nil() ? reader.integer("data_parallel_rank") : undefined;
  for (let place = 3; place < length; place++) reader.skip();
  if (!reader.isAtEnd) throw badFrame("bytes follow a batch of KV events in its frame");
  return { timestampS, events, dataParallelRank };
}

function readEvent(reader: MessagePackReader): EngineKvEvent | undefined {
  const fields: Fields = {};
  if (isMapHead(reader.head)) {
    for (let left = reader.mapHeader("a KV event"); left > 0; left--) {
      readField(reader, reader.string("a key of a KV event"), fields);
    }
  } else {
    const length = reader.arrayHeader("a KV event");
    if (length === 0) throw badFrame("a KV event has no kind");
    fields.type = reader.string("the kind of a KV event");
    const names = places.get(fields.type) ?? [];
    for (let place = 0; place < length - 1; place++) readField(reader, names[place] ?? "", fields);
  }
  return eventOf(fields);
}

function eventOf(fields: Fields): EngineKvEvent | undefined {
  const { type, blockHashes, parentBlockHash, tokenIds, blockSizeTokens } = fields;
  const { medium, loraName, extraKeys, groupIndex, specKind } = fields;
  switch (type) {
    case "BlockStored":
      if (blockHashes === undefined || tokenIds === undefined || blockSizeTokens === undefined) {
        throw badFrame("a BlockStored lacks block_hashes, token_ids or block_size");
      }
      return {
        ...{ t: "stored", blockHashes, parentBlockHash, tokenIds, blockSizeTokens },
        ...{ medium, loraName, extraKeys, groupIndex, specKind },
      };
    case "BlockRemoved":
      if (blockHashes === undefined) throw badFrame("a BlockRemoved lacks block_hashes");
      return { t: "removed", blockHashes, medium, groupIndex };
    case "AllBlocksCleared":
      return { t: "cleared" };
    case undefined:
      throw badFrame("a KV event has no kind");
    default:
      return undefined;
  }
}

function readField(reader: MessagePackReader, name: string, into: Fields): void {
  switch (name) {
    case "type":
      into.type = reader.string(name);
      return;
    case "block_hashes":
      into.blockHashes = Array.from({ length: reader.arrayHeader(name) }, () => readHash(reader));
      return;
    case "parent_block_hash":
      into.parentBlockHash = reader.nil() ? undefined : readHash(reader);
      return;
    case "token_ids":
      into.tokenIds = reader.integers(name);
      return;
    case "block_size":
      into.blockSizeTokens = reader.integer(name);
      return;
    case "medium":
      into.medium = reader.nil() ? undefined : reader.string(name);
      return;
    case "lora_name":
      into.loraName = reader.nil() ? undefined : reader.string(name);
      return;
    case "extra_keys":
      into.extraKeys = reader.nil() ? undefined : readExtraKeys(reader);
      return;
    case "group_idx":
      into.groupIndex = reader.nil() ? undefined : reader.integer(name);
      return;
    case "kv_cache_spec_kind":
      into.specKind = reader.nil() ? undefined : reader.string(name);
      return;
    default:
      reader.skip();
  }
}

/** As vLLM shortens its own (maybe_convert_block_hash, vllm/v1/core/kv_cache_utils.py): the last 8 bytes. */
function readHash(reader: MessagePackReader): bigint {
  const { head } = reader;
  if (head === undefined || head < 0xc4 || head > 0xc6) return reader.integer64("a block hash");
  const bytes = reader.bytes("a block hash");
  if (bytes.length === 0) throw badFrame("a block hash has no bytes");
  return BigInt.asIntN(64, BigInt(`0x${Buffer.from(bytes.subarray(-8)).toString("hex")}`));
}

function readExtraKeys(reader: MessagePackReader): (readonly unknown[] | undefined)[] {
  return Array.from({ length: reader.arrayHeader("extra_keys") }, () => {
    const keys: Decoded = reader.value();
    if (keys === null) return undefined;
    if (!Array.isArray(keys)) throw badFrame("the extra keys of a block are no array");
    return keys;
  });
}

function isMapHead(head: number | undefined): boolean {
  return head !== undefined && ((head >= 0x80 && head <= 0x8f) || head === 0xde || head === 0xdf);
}
