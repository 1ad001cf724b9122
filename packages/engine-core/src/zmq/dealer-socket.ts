import type { EngineCoreError } from "../engine-core-error.ts";
import { connectTo } from "./connector.ts";
import { encodeMessage } from "./zmtp-frames.ts";

/** A client's end of the wire to a ROUTER that listens. */
export interface DealerSocket {
  /** False when nobody is there, and then nothing was sent. */
  send(frames: readonly Uint8Array[]): boolean;
  /** Makes another connection, on which nothing comes that was asked for on this one. */
  renew(): void;
  close(): void;
}

export interface DealerEvents {
  onConnect(): void;
  onMessage(frames: readonly Uint8Array[]): void;
  onBadPeer(error: EngineCoreError): void;
}

/** Connects a DEALER, again by itself when the connection ends. Throws an Error for an address that is none. */
export function connectDealer(address: string, { onConnect, onMessage, onBadPeer }: DealerEvents): DealerSocket {
  const connector = connectTo(address, "DEALER", { onPeer: () => onConnect(), onMessage, onBadPeer });
  return {
    send: (frames) => {
      connector.peer?.write(encodeMessage(frames));
      return connector.peer !== undefined;
    },
    renew: connector.renew,
    close: connector.close,
  };
}
