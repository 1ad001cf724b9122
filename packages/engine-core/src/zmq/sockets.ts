import type { EngineCoreError } from "../engine-core-error.ts";
import type { Peer } from "./connection.ts";
import { listen } from "./listener.ts";
import { encodeMessage } from "./zmtp-frames.ts";

type Frames = readonly Uint8Array[];

/** A ROUTER as the front end needs it: messages go to a peer by its identity. */
export interface RouterSocket {
  /** As bound, with the port that was free. */
  readonly address: string;
  /** The address of this machine at which the peer reached us; undefined for a Unix socket and for who is not connected. */
  localAddressFor(identity: Uint8Array): string | undefined;
  /** The address of the peer's machine; undefined for a Unix socket and for who is not connected. */
  remoteAddressOf(identity: Uint8Array): string | undefined;
  /** False when no such peer is connected, and then nothing was sent. Without a bound on what waits. */
  send(identity: Uint8Array, frames: Frames): boolean;
  close(): void;
}

export interface RouterEvents {
  onMessage(identity: Uint8Array, frames: Frames): void;
  onConnect?(identity: Uint8Array): void;
  /** The last connection of this identity is gone. */
  onDisconnect?(identity: Uint8Array): void;
  onBadPeer(error: EngineCoreError): void;
}

export interface PullSocket {
  readonly address: string;
  close(): void;
}

export interface PullEvents {
  /** The same `peer` stands for the same connection. */
  onMessage(frames: Frames, peer: object): void;
  onBadPeer(error: EngineCoreError): void;
}

/** Binds a ROUTER. A new connection of an identity takes the place of an older one. Rejects with `cannot-bind`. */
export async function bindRouter(address: string, events: RouterEvents): Promise<RouterSocket> {
  const peers = new Map<string, Peer>();
  const { address: bound, close } = await listen(address, "ROUTER", {
    onPeer: (peer) => {
      peers.set(keyOf(peer.identity), peer);
      events.onConnect?.(peer.identity);
    },
    onMessage: (frames, peer) => events.onMessage(peer.identity, frames),
    onLeave: (peer) => {
      const key = keyOf(peer.identity);
      if (peers.get(key) !== peer) return;
      peers.delete(key);
      events.onDisconnect?.(peer.identity);
    },
    onBadPeer: events.onBadPeer,
  });
  return {
    address: bound,
    localAddressFor: (identity) => peers.get(keyOf(identity))?.localAddress,
    remoteAddressOf: (identity) => peers.get(keyOf(identity))?.remoteAddress,
    send: (identity, frames) => {
      const peer = peers.get(keyOf(identity));
      peer?.write(encodeMessage(frames));
      return peer !== undefined;
    },
    close,
  };
}

/** Binds a PULL. Rejects with `cannot-bind`. */
export function bindPull(address: string, events: PullEvents): Promise<PullSocket> {
  return listen(address, "PULL", events);
}

function keyOf(identity: Uint8Array): string {
  return Buffer.from(identity.buffer, identity.byteOffset, identity.byteLength).toString("latin1");
}
