import { createServer, type Server, type Socket } from "node:net";
import type { ListenAddress } from "../../rpc/server.ts";
import { ListenError } from "./listen-error.ts";

/**
 * A TCP port and the connections it took. grpc-js could open the port itself, but then the system's reason for a
 * failure is lost in a sentence, and connections cannot be counted or cut.
 */
export class Listener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #gone: PromiseWithResolvers<void> | undefined;

  constructor(onConnection: (socket: Socket) => void) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      // HTTP/2 listens for errors too; this one is for a socket that breaks before it does.
      socket.on("error", () => undefined);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        if (this.#sockets.size === 0) this.#gone?.resolve();
      });
      onConnection(socket);
    });
  }

  /** Answers the bound address. Rejects with a {@link ListenError}. */
  open(address: ListenAddress): Promise<ListenAddress> {
    const opened = Promise.withResolvers<ListenAddress>();
    const fail = (thrown: unknown): void => opened.reject(ListenError.from(address, thrown));
    try {
      this.#server.once("error", fail);
      this.#server.listen({ host: address.host, port: address.port }, () => {
        this.#server.off("error", fail);
        // Running out of file descriptors refuses one connection and must not end the process.
        this.#server.on("error", () => undefined);
        const bound = this.#server.address();
        opened.resolve(
          typeof bound === "object" && bound !== null ? { host: bound.address, port: bound.port } : address,
        );
      });
    } catch (thrown) {
      fail(thrown);
    }
    return opened.promise;
  }

  /** Takes no connection any more; those it has go on. */
  stopAccepting(): void {
    if (this.#server.listening) this.#server.close();
  }

  /** Resolves when no connection is left. */
  connectionsGone(): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve();
    this.#gone ??= Promise.withResolvers<void>();
    return this.#gone.promise;
  }

  destroyConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
