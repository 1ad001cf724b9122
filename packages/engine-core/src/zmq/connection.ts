import type { Socket } from "node:net";
import { EngineCoreError } from "../engine-core-error.ts";
import { type SocketType, ZmtpSession } from "./zmtp-session.ts";

/** A peer whose handshake is done. */
export interface Peer {
  readonly identity: Uint8Array;
  /** The address of this machine at which the peer reached us; undefined for a Unix socket. */
  readonly localAddress: string | undefined;
  /** The address of the peer's machine; undefined for a Unix socket. */
  readonly remoteAddress: string | undefined;
  /** Hands bytes to the connection; what one turn brings together goes out in one write. */
  write(bytes: Uint8Array): void;
}

export interface PeerEvents {
  onPeer?(peer: Peer): void;
  onMessage(frames: readonly Uint8Array[], peer: Peer): void;
  onLeave?(peer: Peer): void;
  /** A connection was closed because of what its peer sent. */
  onBadPeer(error: EngineCoreError): void;
}

/** Silence after which the other machine is asked whether it is there. */
const keepAliveMs = 10_000;
/** Who connects and says nothing is let go. */
const handshakeLimitMs = 10_000;

/** Speaks ZMTP on a socket that was accepted or that is connecting, until it closes. */
export function converse(socket: Socket, type: SocketType, events: PeerEvents): void {
  socket.setNoDelay(true);
  // A machine that loses its power closes nothing; a stopped process goes on to answer these, so it is not taken for one.
  socket.setKeepAlive(true, keepAliveMs);
  socket.on("error", () => undefined);
  let peer: Peer | undefined;
  let corked = false;
  const write = (bytes: Uint8Array): void => {
    if (socket.destroyed) return;
    if (!corked) {
      corked = true;
      socket.cork();
      setImmediate(() => {
        corked = false;
        socket.uncork();
      });
    }
    socket.write(bytes);
  };
  const limit = setTimeout(() => socket.destroy(), handshakeLimitMs);
  const session = new ZmtpSession(type, {
    write,
    onReady: (identity) => {
      clearTimeout(limit);
      peer = { identity, localAddress: socket.localAddress, remoteAddress: socket.remoteAddress, write };
      events.onPeer?.(peer);
    },
    onMessage: (frames) => {
      if (peer !== undefined) events.onMessage(frames, peer);
    },
  });
  socket.on("data", (chunk: Buffer) => {
    try {
      session.receive(chunk);
    } catch (thrown) {
      if (!(thrown instanceof EngineCoreError)) throw thrown;
      socket.destroy();
      events.onBadPeer(thrown);
    }
  });
  socket.on("close", () => {
    clearTimeout(limit);
    if (peer !== undefined) events.onLeave?.(peer);
  });
}
