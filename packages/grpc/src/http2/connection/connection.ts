import type { Limits } from "../../limits.ts";
import { ErrorCode, type ErrorName } from "../error-code.ts";
import { maxInt31 } from "../frame/frame-header.ts";
import { SettingId } from "../frame/settings.ts";
import { HpackError } from "../hpack/hpack-error.ts";
import { Http2Error } from "../http2-error.ts";
import { Accounts } from "./accounts.ts";
import { ControlFrames, goAwayPing, keepalivePing } from "./control-frames.ts";
import type { FixedFields } from "./fixed-fields.ts";
import { Lifetime } from "./lifetime.ts";
import { Receiver, type ReceiverOwner } from "./receiver.ts";
import { Sender, type SenderOwner } from "./sender.ts";
import type { Stream } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** What a connection tells its owner. Nothing here may throw. */
export interface ConnectionEvents {
  /**
   * A request's fields came; set `stream.handler`, or answer or reset at once. A field list larger than the bound
   * comes with `tooLarge` and without its fields.
   */
  onRequest(stream: Stream, tooLarge: boolean): void;
  /** There is output to take, or work for {@link Connection.pump}, that came from outside of `receive` and `tick`. */
  onOutput(): void;
}

/** How the server's own side of a connection stands. */
type Phase =
  | { readonly t: "open" }
  /** The first GOAWAY is out: the client hears of it while its requests still count (RFC 9113 section 6.8). */
  | { readonly t: "announced"; readonly sinceMs: number }
  /** The second GOAWAY is out: requests after its number do not count. */
  | { readonly t: "leaving" }
  | { readonly t: "closed" };

/** A client that does not answer the ping behind the first GOAWAY gets the second one after this. */
const goAwayPingTimeoutMs = 5_000;

/**
 * The server's side of an HTTP/2 connection (RFC 9113) without a socket and without timers: bytes and clock readings
 * go in, events come out at once, and what is to be sent collects in one output.
 *
 * A broken rule ends the connection: GOAWAY goes into the output, all streams are reset, and {@link finished} says
 * that the socket may be ended once the output is out.
 */
export class Connection implements ReceiverOwner, SenderOwner {
  readonly #limits: Limits;
  readonly #events: ConnectionEvents;
  readonly #accounts: Accounts;
  readonly #sender: Sender;
  readonly #frames: ControlFrames;
  readonly #receiver: Receiver;
  readonly #table = new StreamTable();
  readonly #lifetime: Lifetime;
  readonly #openedAtMs: number;
  #phase: Phase = { t: "open" };
  #finished = false;
  #nowMs: number;
  /** Inside `receive` or `tick` the owner looks for output anyway. */
  #busy = false;
  #failure: Http2Error | undefined;

  constructor(limits: Limits, events: ConnectionEvents, nowMs: number, random: number = Math.random()) {
    this.#limits = limits;
    this.#events = events;
    this.#nowMs = nowMs;
    this.#openedAtMs = nowMs;
    this.#accounts = new Accounts(limits, nowMs);
    this.#sender = new Sender(this, this.#accounts, limits.maxUnflushedBytes);
    this.#frames = new ControlFrames(this.#sender);
    const sending = { sender: this.#sender, frames: this.#frames, accounts: this.#accounts };
    this.#receiver = new Receiver(this, limits, sending, this.#table, nowMs);
    this.#lifetime = new Lifetime(limits, nowMs, random);
    this.#sendPreface();
  }

  /** Streams that are open. */
  get streamCount(): number {
    return this.#table.open.size;
  }

  /** True once nothing will be sent or taken any more but what is in the output. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Why the connection ended by our word; undefined while it has not, or when it ended in order. */
  get failure(): Http2Error | undefined {
    return this.#failure;
  }

  /** True once the client's preface and first SETTINGS came. */
  get established(): boolean {
    return this.#receiver.established;
  }

  /** The field list that the client is ready to take. */
  get peerMaxHeaderListBytes(): number {
    return this.#receiver.peerMaxHeaderListBytes;
  }

  /** For those who write content in place. */
  get sender(): Sender {
    return this.#sender;
  }

  /** Bytes written and not taken. */
  get unsentBytes(): number {
    return this.#sender.output.unsentBytes;
  }

  /** True when {@link pump} has something to do. */
  get hasWork(): boolean {
    return this.#sender.hasWork;
  }

  /**
   * Takes what came from the client, up to `maxFrames` frames (default: all), and answers how many bytes it took. The
   * rest has to come again, in front of what comes after it.
   */
  receive(bytes: Uint8Array, nowMs: number, maxFrames?: number): number {
    if (this.#finished) return bytes.length;
    this.#nowMs = nowMs;
    this.#lifetime.heard(nowMs);
    let taken = bytes.length;
    this.#guarded(() => {
      taken = this.#receiver.read(bytes, nowMs, maxFrames);
    });
    return taken;
  }

  /** Looks at the clocks; to be called about once a second. */
  tick(nowMs: number): void {
    if (this.#finished) return;
    this.#nowMs = nowMs;
    this.#guarded(() => this.#checkClocks(nowMs));
  }

  /** Lets streams that wait send and write until the turn's output is full. */
  pump(): void {
    this.#busy = true;
    this.#sender.pump();
    this.#busy = false;
  }

  /** Hands over the output; `release` on it once the kernel has everything. */
  take(): readonly Buffer[] {
    return this.#sender.take();
  }

  /**
   * Leaves gracefully: the client is told, requests that are on their way are still taken, and the connection finishes
   * with its last stream.
   */
  leave(): void {
    if (this.#phase.t !== "open" || this.#finished) return;
    if (!this.established) {
      this.#frames.goAway(maxInt31, "NO_ERROR", "");
      this.#finish();
    } else {
      this.#phase = { t: "announced", sinceMs: this.#nowMs };
      this.#frames.goAway(maxInt31, "NO_ERROR", "");
      this.#frames.ping(goAwayPing);
    }
    this.changed();
  }

  /** Ends the connection with GOAWAY; streams still open are reset. */
  close(code: ErrorName, reason: string): void {
    if (this.#finished) return;
    this.#frames.goAway(this.#table.lastTakenId, code, reason);
    this.#finish();
    this.changed();
  }

  /** The socket is gone: all streams end, and nothing more is sent. */
  disconnected(): void {
    this.#phase = { t: "closed" };
    this.#finished = true;
    this.#resetAll();
    this.#sender.close();
  }

  /** Every stream that is open now. */
  streams(): Stream[] {
    return this.#table.open.all();
  }

  /** A handler outlives its stream, or has ended after all; such handlers count as open streams. */
  linger(change: 1 | -1): void {
    this.#table.lingering += change;
  }

  // What streams ask for.

  sendHeaders(stream: Stream, fixed: FixedFields, extra: readonly string[], endStream: boolean): void {
    this.#sender.sendHeaders(stream, fixed, extra, endStream);
    if (endStream) {
      if (!stream.remoteClosed) this.#sender.writeReset(stream.id, ErrorCode.NO_ERROR);
      this.sentAll(stream);
    }
    this.changed();
  }

  sendBytes(stream: Stream, bytes: Uint8Array): void {
    this.#sender.sendBytes(stream, bytes);
  }

  sendTrailers(stream: Stream, fixed: FixedFields, extra: readonly string[]): void {
    this.#sender.sendTrailers(stream, fixed, extra);
    this.changed();
  }

  finish(stream: Stream): void {
    this.#sender.finish(stream);
    this.changed();
  }

  resetStream(stream: Stream, errorCode: number): void {
    this.#sender.writeReset(stream.id, errorCode);
    this.removeStream(stream, true);
    this.changed();
  }

  credit(stream: Stream): void {
    if (this.#receiver.credit(stream)) this.changed();
  }

  dropped(bytes: number): void {
    this.#sender.dropped(bytes);
  }

  // What the receiver asks and tells.

  get takesRequests(): boolean {
    return this.#phase.t !== "leaving";
  }

  requested(stream: Stream, tooLarge: boolean): void {
    this.#events.onRequest(stream, tooLarge);
  }

  removeStream(stream: Stream, byUs: boolean): void {
    stream.open = false;
    if (stream.pendingBytes > 0) stream.dropPending();
    if (stream.waiting?.queued === true) this.#sender.forget();
    this.#table.open.remove(stream.id);
    this.#table.closed.add(stream.id, byUs);
    if (this.#phase.t === "leaving" && this.#table.open.size === 0) this.#finish();
  }

  goAwayHeard(): void {
    if (this.#phase.t === "announced") this.#takeNoMore();
  }

  // What the sender tells.

  sentAll(stream: Stream): void {
    this.#accounts.answered();
    this.removeStream(stream, !stream.remoteClosed);
    stream.handler?.onSent();
  }

  changed(): void {
    if (!this.#busy) this.#events.onOutput();
  }

  #guarded(work: () => void): void {
    this.#busy = true;
    try {
      work();
    } catch (thrown) {
      // What stands behind our end does not matter any more, whether it came with what ended us or later.
      if (this.#finished && thrown instanceof Http2Error) return;
      if (thrown instanceof Http2Error) this.#fail(thrown);
      else if (thrown instanceof HpackError) this.#fail(new Http2Error("COMPRESSION_ERROR", thrown.message));
      else throw thrown;
    } finally {
      this.#busy = false;
    }
  }

  #fail(error: Http2Error): void {
    this.#failure = error;
    this.#frames.goAway(this.#table.lastTakenId, error.code, error.message);
    this.#finish();
  }

  #finish(): void {
    this.#phase = { t: "closed" };
    this.#finished = true;
    this.#resetAll();
  }

  #resetAll(): void {
    const streams = this.#table.open.all();
    this.#table.open.clear();
    for (const stream of streams) {
      stream.open = false;
      stream.dropPending();
      stream.handler?.onReset();
    }
  }

  #checkClocks(nowMs: number): void {
    if (!this.established && nowMs - this.#openedAtMs >= this.#limits.handshakeTimeoutMs) {
      throw new Http2Error("SETTINGS_TIMEOUT", "the client did not begin to speak HTTP/2 in time");
    }
    const { blockStartedAtMs } = this.#receiver;
    if (blockStartedAtMs !== undefined && nowMs - blockStartedAtMs >= this.#limits.headerTimeoutMs) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "a request's fields did not come to their end in time");
    }
    if (this.#phase.t === "announced" && nowMs - this.#phase.sinceMs >= goAwayPingTimeoutMs) this.#takeNoMore();
    const verdict = this.#lifetime.check(nowMs, this.#table.open.size);
    switch (verdict) {
      case "nothing":
        return;
      case "ping":
        if (this.established) this.#frames.ping(keepalivePing);
        return;
      case "vanished":
        throw new Http2Error("NO_ERROR", "the client did not answer a ping");
      case "retire":
        this.leave();
        return;
      case "expired":
        throw new Http2Error("NO_ERROR", "the connection is older than it may be");
    }
  }

  /** The second step of leaving. */
  #takeNoMore(): void {
    this.#phase = { t: "leaving" };
    this.#frames.goAway(this.#table.lastTakenId, "NO_ERROR", "");
    if (this.#table.open.size === 0) this.#finish();
  }

  // Frames we send.

  #sendPreface(): void {
    const { maxConcurrentStreams, initialWindowBytes, maxHeaderListBytes } = this.#limits;
    this.#frames.settings([
      [SettingId.MAX_CONCURRENT_STREAMS, Math.min(maxConcurrentStreams, maxInt31)],
      [SettingId.INITIAL_WINDOW_SIZE, initialWindowBytes],
      [SettingId.MAX_HEADER_LIST_SIZE, Math.min(maxHeaderListBytes, maxInt31)],
    ]);
    this.#frames.windowUpdate(0, this.#receiver.windowBytes - 65_535);
  }
}
