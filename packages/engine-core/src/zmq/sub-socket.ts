import type { EngineCoreError } from "../engine-core-error.ts";
import type { PeerEvents } from "./connection.ts";
import { connectTo } from "./connector.ts";
import { listen } from "./listener.ts";
import { encodeMessage } from "./zmtp-frames.ts";

/** A subscriber's end of the wire to a publisher. */
export interface SubSocket {
  close(): void;
}

export interface SubEvents {
  /** A publisher is there, for the first time or again, and has been told the topic: what it publishes from now on comes. */
  onConnect(): void;
  /** The first frame is the topic. */
  onMessage(frames: readonly Uint8Array[]): void;
  onBadPeer(error: EngineCoreError): void;
}

/** Subscribes at a publisher that listens. Connects again by itself. Throws an Error for an address that is none. */
export function connectSub(address: string, topic: string, events: SubEvents): SubSocket {
  return connectTo(address, "SUB", peerEvents(topic, events));
}

/** Waits for publishers that connect. Rejects with `cannot-bind`. */
export function bindSub(address: string, topic: string, events: SubEvents): Promise<SubSocket> {
  return listen(address, "SUB", peerEvents(topic, events));
}

function peerEvents(topic: string, { onConnect, onMessage, onBadPeer }: SubEvents): PeerEvents {
  // 3.1 has a command for it; to a peer of version 3.0 it is a message (rfc.zeromq.org/spec/23, "The Publish-Subscribe Pattern").
  const subscription = encodeMessage([Buffer.concat([Buffer.of(1), Buffer.from(topic)])]);
  return {
    onPeer: (peer) => {
      peer.write(subscription);
      onConnect();
    },
    onMessage,
    onBadPeer,
  };
}
