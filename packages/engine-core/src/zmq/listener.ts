import { once } from "node:events";
import { lstatSync, unlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { EngineCoreError } from "../engine-core-error.ts";
import { type ListeningSocketType, ZmtpSession } from "./zmtp-session.ts";

/** A peer whose handshake is done. */
export interface Peer {
  readonly identity: Uint8Array;
  /** The address of this machine at which the peer reached us; undefined for a Unix socket. */
  readonly localAddress: string | undefined;
  /** Hands bytes to the connection; what one turn brings together goes out in one write. */
  write(bytes: Uint8Array): void;
}

export interface ListenerEvents {
  onPeer?(peer: Peer): void;
  onMessage(frames: readonly Uint8Array[], peer: Peer): void;
  onLeave?(peer: Peer): void;
  /** A connection was closed because of what its peer sent. */
  onBadPeer(error: EngineCoreError): void;
}

export interface Listener {
  /** As bound, `tcp://HOST:PORT` or `ipc://PATH`. */
  readonly address: string;
  close(): void;
}

/** Silence after which the other machine is asked whether it is there. */
const keepAliveMs = 10_000;
/** Who connects and says nothing is let go. */
const handshakeLimitMs = 10_000;

/**
 * Listens on a ZeroMQ address, `tcp://HOST:PORT` (`*` for any host or a free port) or `ipc://PATH`, and speaks ZMTP with
 * who comes. Rejects with `cannot-bind`.
 */
export async function listen(address: string, type: ListeningSocketType, events: ListenerEvents): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    accept(socket, type, events);
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

function accept(socket: Socket, type: ListeningSocketType, events: ListenerEvents): void {
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
      peer = { identity, localAddress: socket.localAddress, write };
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

async function bind(server: Server, address: string): Promise<void> {
  const options = listenOptions(address);
  if (options.path !== undefined) await removeLeftover(options.path);
  server.listen(options);
  await once(server, "listening");
}

function listenOptions(address: string): ListenOptions {
  const path = /^ipc:\/\/(.+)$/.exec(address)?.[1];
  if (path !== undefined) return { path };
  const [, host, port] = /^tcp:\/\/(\*|\[[^\]]+\]|[^:[\]]+):(\d{1,5}|\*)$/.exec(address) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65_535) {
    throw new Error("it must be tcp://HOST:PORT or ipc://PATH");
  }
  return { host: host === "*" ? "0.0.0.0" : host.replace(/^\[|\]$/g, ""), port: port === "*" ? 0 : Number(port) };
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
