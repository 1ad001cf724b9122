import { EngineCoreError } from "../engine-core-error.ts";

type Frames = readonly Uint8Array[];

/** The engine's side of one of the front end's sockets. */
export interface EngineSocket {
  send(frames: Frames): void;
  close(): void;
}

/** Connects a DEALER, as an engine does to the handshake and the input. */
export async function connectDealer(
  address: string,
  identity: Uint8Array,
  onMessage: (frames: Frames) => void,
): Promise<EngineSocket> {
  const { Dealer } = await loadZeromq();
  const socket = new Dealer({ linger: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0 });
  // Identities are bytes, and the package takes them as a text of the same bytes.
  socket.routingId = Buffer.from(identity).toString("latin1");
  socket.connect(address);
  const read = async (): Promise<void> => {
    try {
      for await (const frames of socket) onMessage(frames);
    } catch (thrown) {
      if (!socket.closed) throw thrown;
    }
  };
  void read();
  return sender(socket);
}

/** Connects a PUSH, as an engine does to the output. */
export async function connectPush(address: string): Promise<EngineSocket> {
  const { Push } = await loadZeromq();
  const socket = new Push({ linger: 0, sendHighWaterMark: 0 });
  socket.connect(address);
  return sender(socket);
}

function sender(socket: {
  readonly closed: boolean;
  send(frames: Uint8Array[]): Promise<void>;
  close(): void;
}): EngineSocket {
  let last = Promise.resolve();
  return {
    send: (frames) => {
      last = last.then(async () => {
        if (!socket.closed) await socket.send([...frames]).catch(() => undefined);
      });
    },
    close: () => {
      if (!socket.closed) socket.close();
    },
  };
}

/** Only the mock engine needs the package: it is to be the same ZeroMQ that vLLM's engine has. */
export async function loadZeromq(): Promise<typeof import("zeromq")> {
  try {
    return await import("zeromq");
  } catch (thrown) {
    throw new EngineCoreError(
      { kind: "no-zeromq" },
      "the mock engine needs the package zeromq; install it with: npm install --save-dev zeromq@6.8.0",
      { cause: thrown },
    );
  }
}
