import { type ClientHttp2Session, connect, type SecureClientSessionOptions } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import { clientPreface } from "../src/http2/connection/frame-reader.ts";
import { FrameFlag, FrameType, frameHeaderBytes, writeFrameHeader } from "../src/http2/frame/frame-header.ts";
import { type WalkedFrame, walkFrames } from "./frame-walk.ts";

/**
 * The server's end of a connection in memory, frame by frame, with nghttp2 at the other end: Node's own HTTP/2 client
 * is made of it.
 */
export class RawServer {
  readonly client: ClientHttp2Session;
  readonly #side: Duplex;
  #received: Buffer = Buffer.alloc(0);
  #preface = true;
  #frames: WalkedFrame[] = [];
  #waiter: (() => void) | undefined;

  /** Settings go out at once; a client does not wait for them. */
  constructor(settings: readonly (readonly [id: number, value: number])[], options: SecureClientSessionOptions = {}) {
    const [clientSide, side] = duplexPair();
    this.#side = side;
    side.on("data", (bytes: Buffer) => this.#receive(bytes));
    side.on("error", () => undefined);
    side.on("close", () => this.#waiter?.());
    this.client = connect("http://fuzz", { ...options, createConnection: () => clientSide });
    this.client.on("error", () => undefined);
    this.settings(settings);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    const payload = Buffer.alloc(6 * settings.length);
    for (const [i, [id, value]] of settings.entries()) {
      payload.writeUInt16BE(id, 6 * i);
      payload.writeUInt32BE(value, 6 * i + 2);
    }
    this.send(FrameType.SETTINGS, 0, 0, payload);
  }

  send(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    const frame = Buffer.alloc(frameHeaderBytes + payload.length);
    frame.set(payload, writeFrameHeader(frame, 0, payload.length, type, flags, streamId));
    this.#side.write(frame);
  }

  /** The next frame of the client that is wanted; its SETTINGS are acknowledged on the way. Undefined at the end. */
  async next(wanted: (frame: WalkedFrame) => boolean): Promise<WalkedFrame | undefined> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame === undefined) {
        if (this.#side.destroyed || this.#side.readableEnded) return undefined;
        await new Promise<void>((resolve) => {
          this.#waiter = resolve;
        });
        continue;
      }
      if (frame.type === FrameType.SETTINGS && (frame.flags & FrameFlag.ACK) === 0) {
        this.send(FrameType.SETTINGS, FrameFlag.ACK, 0, new Uint8Array());
      }
      if (wanted(frame)) return frame;
    }
  }

  close(): void {
    this.client.destroy();
    this.#side.destroy();
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    if (this.#preface) {
      if (this.#received.length < clientPreface.length) return;
      this.#received = this.#received.subarray(clientPreface.length);
      this.#preface = false;
    }
    const { frames, rest } = walkFrames(this.#received);
    this.#received = Buffer.from(rest);
    this.#frames.push(...frames);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.();
  }
}
