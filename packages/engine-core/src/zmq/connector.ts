import { connect, type NetConnectOpts, type Socket } from "node:net";
import { converse, type Peer, type PeerEvents } from "./connection.ts";
import { parseAddress } from "./socket-place.ts";
import type { SocketType } from "./zmtp-session.ts";

export interface Connector {
  /** The other end while the connection is there. */
  readonly peer: Peer | undefined;
  /** Lets the connection go and makes another: what the other end still had to say is not heard. */
  renew(): void;
  close(): void;
}

/** The pause after a failed try; it doubles with each further one up to the second number. */
const firstPauseMs = 100;
const longestPauseMs = 3_200;

/**
 * Connects to a ZeroMQ address, and again whenever the connection ends or cannot be made, until it is closed. Throws an
 * Error for an address that is none.
 */
export function connectTo(address: string, type: SocketType, events: PeerEvents): Connector {
  const place = parseAddress(address);
  const target: NetConnectOpts = place.path === undefined ? { host: place.host, port: place.port } : place;
  let pauseMs = firstPauseMs;
  let peer: Peer | undefined;
  let socket: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const open = (): void => {
    const opened = connect(target);
    socket = opened;
    converse(opened, type, {
      ...events,
      onPeer: (met) => {
        peer = met;
        pauseMs = firstPauseMs;
        events.onPeer?.(met);
      },
      onLeave: (met) => {
        peer = undefined;
        events.onLeave?.(met);
      },
      onMessage: (frames, met) => {
        if (socket === opened && !opened.destroyed) events.onMessage(frames, met);
      },
    });
    opened.on("close", () => {
      if (isClosed) return;
      timer = setTimeout(open, pauseMs);
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    });
  };
  open();
  return {
    get peer() {
      return peer;
    },
    renew: () => {
      // It is not there from now on: what is sent before the next one is would go nowhere.
      peer = undefined;
      socket?.destroy();
    },
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      socket?.destroy();
    },
  };
}
