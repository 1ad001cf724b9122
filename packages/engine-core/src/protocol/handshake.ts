import { badFrame } from "../engine-core-error.ts";
import { decodeMessagePack } from "./msgpack/reader.ts";
import { encodeMessagePack } from "./msgpack/writer.ts";

/** What an engine says on the handshake socket (vllm/v1/engine/core.py, `startup_handshake` at 0.32). */
export type HandshakeStatus = "HELLO" | "READY";

/** Reads HELLO or READY; other keys of the map are not looked at. Throws a bad frame. */
export function decodeHandshake(body: Uint8Array): HandshakeStatus {
  const message = decodeMessagePack(body);
  const status = message instanceof Map ? message.get("status") : undefined;
  if (status === "HELLO" || status === "READY") return status;
  throw badFrame(`an engine's handshake has the status ${JSON.stringify(status) ?? "nothing"}, not HELLO or READY`);
}

/** The answer to HELLO: where to read requests and where to write outputs. One front end, no coordinator. */
export function encodeInit(inputAddress: string, outputAddress: string): Uint8Array {
  return encodeMessagePack({
    addresses: {
      inputs: [inputAddress],
      outputs: [outputAddress],
      coordinator_input: null,
      coordinator_output: null,
      frontend_stats_publish_address: null,
    },
    parallel_config: {},
  });
}

/** The identity of an engine's sockets: its data-parallel rank in two bytes, the lower one first. */
export function encodeIdentity(engineIndex: number): Uint8Array {
  return Uint8Array.of(engineIndex & 0xff, engineIndex >> 8);
}

export function decodeIdentity(identity: Uint8Array): number {
  const [low, high] = identity;
  if (low === undefined || high === undefined || identity.length !== 2) {
    throw badFrame(`a peer's identity has ${identity.length} bytes; an engine's has 2`);
  }
  return low | (high << 8);
}
