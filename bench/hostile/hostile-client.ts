import { connect, type Socket } from "node:net";
import { FrameType, preface, settings } from "./wire.ts";

/** How a connection came to its end. */
export interface End {
  /** What the server's GOAWAY says, or that there was none. */
  readonly reason: string;
}

/** One connection of an attacker: writes any bytes, reads or does not, and hears how it is ended. */
export class HostileClient {
  readonly #socket: Socket;
  readonly #ended = Promise.withResolvers<End>();
  #isOver = false;
  #received: Buffer = Buffer.alloc(0);
  #reason: string | undefined;
  #connected: Promise<void>;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const connected = Promise.withResolvers<void>();
    this.#connected = connected.promise;
    this.#socket.on("connect", () => connected.resolve());
    this.#socket.on("error", () => undefined);
    this.#socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    this.#socket.on("close", () => {
      connected.resolve();
      this.#isOver = true;
      this.#ended.resolve({ reason: this.#reason ?? "the connection closed" });
    });
  }

  /** Resolves when the server or {@link close} has ended the connection. */
  get ended(): Promise<End> {
    return this.#ended.promise;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why the server ended the connection; undefined while it has not. */
  get reason(): string | undefined {
    return this.#reason;
  }

  connected(): Promise<void> {
    return this.#connected;
  }

  /** Preface and SETTINGS. */
  begin(...pairs: readonly (readonly [number, number])[]): Promise<void> {
    return this.write(Buffer.concat([preface, settings(...pairs)]));
  }

  /** Resolves when the kernel has the bytes, or the connection is over: a flood goes as fast as the server reads. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isOver) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off("close", done);
        // A write that fails calls back at once, and a loop of such writes would keep the end from being heard.
        setImmediate(resolve);
      };
      this.#socket.once("close", done);
      this.#socket.write(bytes, done);
    });
  }

  /** Reads no more from the socket. */
  stopReading(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    let at = 0;
    while (this.#received.length - at >= 9) {
      const end = at + 9 + this.#received.readUIntBE(at, 3);
      if (end > this.#received.length) break;
      if (this.#received[at + 3] === FrameType.GOAWAY) this.#reason = this.#received.toString("utf8", at + 17, end);
      at = end;
    }
    this.#received = this.#received.subarray(at);
  }
}
