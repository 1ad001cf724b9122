import { once } from "node:events";
import { lstatSync, unlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { EngineCoreError } from "../engine-core-error.ts";
import { converse, type PeerEvents } from "./connection.ts";
import { parseAddress } from "./socket-place.ts";
import type { SocketType } from "./zmtp-session.ts";

export interface Listener {
  /** As bound, `tcp://HOST:PORT` or `ipc://PATH`. */
  readonly address: string;
  close(): void;
}

/**
 * Listens on a ZeroMQ address, `tcp://HOST:PORT` (`*` for any host or a free port) or `ipc://PATH`, and speaks ZMTP with
 * who comes. Rejects with `cannot-bind`.
 */
export async function listen(address: string, type: SocketType, events: PeerEvents): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    converse(socket, type, events);
  });
  try {
    await bind(server, address);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new EngineCoreError({ kind: "cannot-bind", address }, `cannot listen for engines on ${address}: ${reason}`, {
      cause: thrown,
    });
  }
  return {
    address: boundAddress(server, address),
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function bind(server: Server, address: string): Promise<void> {
  const options = listenOptions(address);
  if (options.path !== undefined) await removeLeftover(options.path);
  server.listen(options);
  await once(server, "listening");
}

function listenOptions(address: string): ListenOptions {
  const place = parseAddress(address);
  if (place.path !== undefined) return place;
  return { host: place.host === "*" ? "0.0.0.0" : place.host, port: place.port };
}

/** A path that a process left when it was killed is in the way; one that somebody listens on is not touched. */
async function removeLeftover(path: string): Promise<void> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    // A file that is no socket refuses too.
    if (code === "ECONNREFUSED" && lstatSync(path).isSocket()) unlinkSync(path);
  } finally {
    socket.destroy();
  }
}

function boundAddress(server: Server, address: string): string {
  const bound = server.address();
  if (bound === null || typeof bound === "string") return address;
  const { address: host, family, port }: AddressInfo = bound;
  return `tcp://${family === "IPv6" ? `[${host}]` : host}:${port}`;
}
