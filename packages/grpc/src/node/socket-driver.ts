import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";
import type { Connection } from "../http2/connection/connection.ts";
import type { Limits } from "../limits.ts";
import type { RpcConnection, RpcServer } from "../rpc/rpc-server.ts";
import type { GrpcStatusError } from "../rpc/status.ts";
import { scheduleTurn, type TurnTaker } from "./turns.ts";

/** How long a client may take to hang up after our last bytes, before the socket is cut. */
const lingerMs = 1_000;

/**
 * Moves bytes between a socket and its connection. What one turn of the event loop brings together goes out in one
 * write; a socket that does not take its bytes is not given more, and its client is not read from.
 */
export class SocketDriver implements TurnTaker {
  readonly #socket: Socket;
  readonly #rpc: RpcConnection;
  readonly #http2: Connection;
  readonly #limits: Limits;
  readonly #clock: Clock;
  /** A socket that holds so much of ours takes no more. */
  readonly #highWaterBytes: number;
  /** What came and was not taken yet; nothing more is read meanwhile. */
  #rest: Buffer | undefined;
  #scheduled = false;
  #ending = false;
  #gone = false;
  #cutSet = false;
  #cancelCut: () => void = () => undefined;

  /** `onClose` is called once, when the socket is gone. */
  constructor(socket: Socket, server: RpcServer, onClose: (driver: SocketDriver) => void) {
    this.#socket = socket;
    this.#limits = server.limits;
    this.#clock = server.clock;
    this.#highWaterBytes = socket.writableHighWaterMark;
    const peer = peerOf(socket);
    this.#rpc = server.connect(peer, () => this.#schedule());
    this.#http2 = this.#rpc.http2;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("drain", () => this.#resume());
    // The error is the end of the connection, which "close" tells.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#gone = true;
      this.#cancelCut();
      this.#http2.disconnected();
      const { failure } = this.#http2;
      if (failure !== undefined) {
        server.tell({ t: "connection-failed", peer, code: failure.code, reason: failure.message });
      }
      onClose(this);
    });
    this.#flush();
  }

  /** Looks at the connection's clocks. */
  tick(nowMs: number): void {
    this.#rpc.tick(nowMs);
    this.#flush();
  }

  /** Lets the connection run out: the client is told, and the socket closes behind the last stream. */
  leave(): void {
    this.#http2.leave();
  }

  /** Ends all calls with this status and then the connection. */
  end(reason: GrpcStatusError): void {
    this.#rpc.cutAll(reason);
    this.#http2.close("NO_ERROR", reason.message);
    this.#flush();
  }

  /** Ends the calls with this status; the connection stays. */
  cutAll(reason: GrpcStatusError): void {
    this.#rpc.cutAll(reason);
    this.#flush();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    // After our end this only reads what is on its way, so that the kernel does not answer with a reset.
    if (this.#ending) return;
    if (this.#rest === undefined) this.#take(bytes);
    else this.#rest = Buffer.concat([this.#rest, bytes]);
  }

  /** Takes a turn's worth of frames. The rest waits for the next turn, so that other connections have theirs. */
  #take(bytes: Buffer): void {
    const taken = this.#rpc.receive(bytes, this.#limits.maxFramesPerTurn);
    this.#rest = taken < bytes.length ? bytes.subarray(taken) : undefined;
    this.#flush();
    if (this.#rest === undefined || this.#ending) return;
    this.#socket.pause();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#gone) return;
    this.#scheduled = true;
    scheduleTurn(this);
  }

  takeTurn(): void {
    this.#scheduled = false;
    if (this.#gone) return;
    if (this.#rest !== undefined) this.#takeRest(this.#rest);
    if (this.#http2.hasWork && this.#socket.writableLength < this.#highWaterBytes) this.#http2.pump();
    this.#flush();
  }

  #takeRest(rest: Buffer): void {
    if (this.#ending || this.#isBacklogged(this.#socket.writableLength)) return;
    this.#take(rest);
    this.#readOn();
  }

  #resume(): void {
    if (this.#gone) return;
    this.#http2.sender.output.release();
    this.#readOn();
    this.takeTurn();
  }

  #readOn(): void {
    const socket = this.#socket;
    if (this.#rest === undefined && !this.#isBacklogged(socket.writableLength) && socket.isPaused()) socket.resume();
  }

  /**
   * More waits for the client than it may, with what its socket holds. What waits in the streams counts only while the socket
   * is what it waits for: else the client has to be read, because its window update is awaited.
   */
  #isBacklogged(heldBytes: number): boolean {
    const { output, pendingBytes } = this.#http2.sender;
    const waitingBytes = output.unsentBytes + (heldBytes >= this.#highWaterBytes ? pendingBytes : 0);
    return heldBytes + waitingBytes > this.#limits.maxBacklogBytes;
  }

  /** Asks the socket no more often than needed: where tokens are paced this is too seldom run to be hot (bench/transport, p256). */
  #flush(): void {
    if (this.#gone || this.#ending) return;
    const socket = this.#socket;
    const http2 = this.#http2;
    const { output } = http2.sender;
    let heldBytes = socket.writableLength;
    if (heldBytes < this.#highWaterBytes) {
      // Chunks that were still with the socket at the last flush may be free by now.
      if (heldBytes === 0) output.release();
      if (output.unsentBytes > 0) {
        this.#write(http2.take());
        heldBytes = socket.writableLength;
        if (heldBytes === 0) output.release();
      }
      if (http2.finished) {
        this.#end();
        return;
      }
      if (http2.hasWork && heldBytes < this.#highWaterBytes) this.#schedule();
    } else if (http2.finished) {
      this.#boundEnd();
    }
    if (this.#isBacklogged(heldBytes)) socket.pause();
  }

  #write(pieces: readonly Buffer[]): void {
    const socket = this.#socket;
    if (pieces.length === 1) {
      socket.write(pieces[0] as Buffer);
      return;
    }
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
  }

  #end(): void {
    this.#ending = true;
    const socket = this.#socket;
    this.#boundEnd();
    socket.resume();
    socket.end(() => this.#cutAfter(lingerMs));
  }

  /** Our last bytes are not waited for longer than a client that is silent is, and less after it broke a rule. */
  #boundEnd(): void {
    if (this.#cutSet) return;
    const { keepaliveTimeMs, keepaliveTimeoutMs } = this.#limits;
    this.#cutAfter(this.#http2.failure === undefined ? keepaliveTimeMs + keepaliveTimeoutMs : keepaliveTimeoutMs);
  }

  #cutAfter(ms: number): void {
    this.#cutSet = true;
    this.#cancelCut();
    if (!this.#gone) this.#cancelCut = this.#clock.after(ms, () => this.#socket.destroy());
  }
}

function peerOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return "";
  return remoteAddress.includes(":") ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
