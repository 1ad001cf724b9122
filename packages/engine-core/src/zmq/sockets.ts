import { EngineCoreError } from "../engine-core-error.ts";

type Frames = readonly Uint8Array[];

/** A ROUTER as the front end needs it: messages go to a peer by its identity. */
export interface RouterSocket {
  /** As bound, with the port that was free. */
  readonly address: string;
  /** Sends without waiting; sends keep their order. Rejects `unreachable` when no such peer is connected. */
  send(identity: Uint8Array, frames: Frames): Promise<"sent" | "unreachable">;
  close(): void;
}

export interface PullSocket {
  readonly address: string;
  close(): void;
}

export interface SocketEvents {
  /** Each message; a router's begins with the identity. */
  onMessage(frames: Frames): void;
  /** A peer's connection is gone. ZeroMQ does not say whose. */
  onDisconnect?(): void;
}

type ZeroMq = typeof import("zeromq");

/** Loads the package at the first use, so that who serves another engine need not have it. */
export async function load(): Promise<ZeroMq> {
  try {
    return await import("zeromq");
  } catch (thrown) {
    throw new EngineCoreError(
      { kind: "no-zeromq" },
      "the package zeromq cannot be loaded; install it with: npm install zeromq@6.8.0",
      { cause: thrown },
    );
  }
}

/** Binds a ROUTER that refuses to send to nobody. No bound on what waits: the engine reads or is dead. */
export async function bindRouter(address: string, events: SocketEvents): Promise<RouterSocket> {
  const { Router } = await load();
  const socket = new Router({
    mandatory: true,
    // A new process of the same rank takes the place of one that is gone.
    handover: true,
    linger: 0,
    sendHighWaterMark: 0,
    receiveHighWaterMark: 0,
  });
  const boundAddress = await bind(socket, address);
  const closed = watch(socket, events);
  const queue = new SendQueue(async (frames) => {
    await socket.send(frames as Uint8Array[]);
  });
  return {
    address: boundAddress,
    send: (identity, frames) => queue.send([identity, ...frames]),
    close: closed,
  };
}

/** Binds a PULL. What it does not read stays with the engines, which have no bound either: read at once. */
export async function bindPull(address: string, events: SocketEvents): Promise<PullSocket> {
  const { Pull } = await load();
  const socket = new Pull({ linger: 0, receiveHighWaterMark: 0 });
  const boundAddress = await bind(socket, address);
  return { address: boundAddress, close: watch(socket, events) };
}

interface Bindable {
  readonly lastEndpoint: string | null;
  bind(address: string): Promise<void>;
  close(): void;
}

interface Watchable {
  readonly closed: boolean;
  readonly events: { on(type: "disconnect", listener: () => void): unknown; close(): void };
  [Symbol.asyncIterator](): AsyncIterator<Frames>;
  close(): void;
}

async function bind(socket: Bindable, address: string): Promise<string> {
  try {
    await socket.bind(address);
  } catch (thrown) {
    socket.close();
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new EngineCoreError({ kind: "cannot-bind", address }, `cannot listen for engines on ${address}: ${reason}`, {
      cause: thrown,
    });
  }
  return socket.lastEndpoint ?? address;
}

/** Hands every message on until the socket is closed by the function that is answered. */
function watch(socket: Watchable, events: SocketEvents): () => void {
  if (events.onDisconnect !== undefined) {
    const { onDisconnect } = events;
    socket.events.on("disconnect", () => onDisconnect());
  }
  const read = async (): Promise<void> => {
    try {
      for await (const frames of socket) events.onMessage(frames);
    } catch (thrown) {
      // A receive that waits is rejected when its socket is closed, and for no other reason.
      if (!socket.closed) throw thrown;
    }
  };
  void read();
  return () => {
    if (!socket.closed) socket.close();
  };
}

/** One send at a time: the package refuses a second one while the first waits. */
class SendQueue {
  readonly #send: (frames: Frames) => Promise<void>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(send: (frames: Frames) => Promise<void>) {
    this.#send = send;
  }

  send(frames: Frames): Promise<"sent" | "unreachable"> {
    const sent = this.#last.then(async () => {
      try {
        await this.#send(frames);
        return "sent";
      } catch (thrown) {
        const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
        // A closed socket has no peers either.
        if (code === "EHOSTUNREACH" || code === "EBADF" || code === "ENOTSOCK") return "unreachable";
        throw thrown;
      }
    });
    this.#last = sent.catch(() => undefined);
    return sent;
  }
}
