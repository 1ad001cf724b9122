import type { Limits } from "../../limits.ts";
import { ErrorCode, type ErrorName } from "../error-code.ts";
import { readData } from "../frame/data.ts";
import { defaultMaxFrameBytes, FrameFlag, FrameType, maxInt31 } from "../frame/frame-header.ts";
import { readGoAway } from "../frame/goaway.ts";
import { readHeaders } from "../frame/headers.ts";
import { readPing } from "../frame/ping.ts";
import { priorityPayloadBytes, readPriorityDependency } from "../frame/priority.ts";
import { readRstStream } from "../frame/rst-stream.ts";
import { readSettings, SettingId } from "../frame/settings.ts";
import { readWindowUpdate } from "../frame/window-update.ts";
import { HpackDecoder } from "../hpack/decoder.ts";
import { HpackError } from "../hpack/hpack-error.ts";
import { Http2Error } from "../http2-error.ts";
import { BandwidthEstimate } from "./bandwidth.ts";
import { Budget } from "./budget.ts";
import { ClosedStreams } from "./closed-streams.ts";
import { ControlFrames } from "./control-frames.ts";
import { checkBlockBytes, FieldBlock } from "./field-block.ts";
import type { FixedFields } from "./fixed-fields.ts";
import { FrameReader } from "./frame-reader.ts";
import { Lifetime } from "./lifetime.ts";
import { PingPolice } from "./ping-police.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { areTrailersWellFormed, readRequestFields } from "./request-fields.ts";
import { Sender, type SenderOwner } from "./sender.ts";
import { type PendingTrailers, Stream, type StreamOwner } from "./stream.ts";

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

const clientSettings = { awaited: 0, received: 1 } as const;
const keepalivePing: Buffer = Buffer.from("alive?\0\0", "latin1");
const bandwidthPing: Buffer = Buffer.from("howfast?", "latin1");
const goAwayPing: Buffer = Buffer.from("leaving!", "latin1");
/** A client that does not answer the ping behind the first GOAWAY gets the second one after this. */
const goAwayPingTimeoutMs = 5_000;
/** Streams whose windows move when the initial window changes, per unit of the control budget. */
const windowsPerCost = 64;
/** A request taken back after this was more than a burst of noise. */
const resetMatureMs = 1_000;

/**
 * The server's side of an HTTP/2 connection (RFC 9113) without a socket and without timers: bytes and clock readings
 * go in, events come out at once, and what is to be sent collects in one output.
 *
 * A broken rule ends the connection: GOAWAY goes into the output, all streams are reset, and {@link finished} says
 * that the socket may be ended once the output is out.
 */
export class Connection implements StreamOwner, SenderOwner {
  readonly #limits: Limits;
  readonly #events: ConnectionEvents;
  readonly #sender: Sender;
  readonly #frames: ControlFrames;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder();
  readonly #streams = new Map<number, Stream>();
  readonly #closedStreams = new ClosedStreams();
  readonly #control: Budget;
  readonly #resets: Budget;
  readonly #pings: PingPolice;
  readonly #estimate: BandwidthEstimate;
  readonly #window: ReceiveWindow;
  readonly #lifetime: Lifetime;
  readonly #openedAtMs: number;
  #phase: Phase = { t: "open" };
  #finished = false;
  #settings: number = clientSettings.awaited;
  #block: FieldBlock | undefined;
  #nowMs: number;
  /** Number of the newest stream seen, and of the newest that was taken. */
  #lastSeenId = 0;
  #lastTakenId = 0;
  /** Handlers that still run although their stream is gone. */
  #lingering = 0;
  #peerInitialWindow = 65_535;
  #peerMaxHeaderListBytes = Number.POSITIVE_INFINITY;
  /** Inside `receive` or `tick` the owner looks for output anyway. */
  #busy = false;
  #failure: Http2Error | undefined;

  constructor(limits: Limits, events: ConnectionEvents, nowMs: number, random: number = Math.random()) {
    this.#limits = limits;
    this.#events = events;
    this.#nowMs = nowMs;
    this.#openedAtMs = nowMs;
    this.#sender = new Sender(this, limits.maxUnflushedBytes);
    this.#frames = new ControlFrames(this.#sender);
    this.#reader = new FrameReader(defaultMaxFrameBytes, (type, flags, id, bytes, start, end) =>
      this.#frame(type, flags, id, bytes, start, end),
    );
    this.#control = new Budget(limits.controlFrameBurst, limits.controlFramesPerSecond, nowMs);
    this.#resets = new Budget(limits.resetBurst, limits.resetsPerSecond, nowMs);
    this.#pings = new PingPolice(limits);
    this.#estimate = new BandwidthEstimate(limits.initialWindowBytes, limits.maxWindowBytes);
    this.#lifetime = new Lifetime(limits, nowMs, random);
    this.#window = new ReceiveWindow(limits.initialWindowBytes);
    this.#sendPreface();
  }

  /** Streams that are open. */
  get streamCount(): number {
    return this.#streams.size;
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
    return this.#settings === clientSettings.received;
  }

  /** The field list that the client is ready to take. */
  get peerMaxHeaderListBytes(): number {
    return this.#peerMaxHeaderListBytes;
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

  /** Takes what came from the client. */
  receive(bytes: Uint8Array, nowMs: number): void {
    if (this.#finished) return;
    this.#nowMs = nowMs;
    this.#lifetime.heard(nowMs);
    this.#guarded(() => this.#reader.read(bytes));
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
    this.#changed();
  }

  /** Ends the connection with GOAWAY; streams still open are reset. */
  close(code: ErrorName, reason: string): void {
    if (this.#finished) return;
    this.#frames.goAway(this.#lastTakenId, code, reason);
    this.#finish();
    this.#changed();
  }

  /** The socket is gone: all streams end, and nothing more is sent. */
  disconnected(): void {
    this.#phase = { t: "closed" };
    this.#finished = true;
    this.#resetAll();
    this.#sender.close();
  }

  /** Every open stream; do not hold on to it. */
  streams(): IterableIterator<Stream> {
    return this.#streams.values();
  }

  /** A handler outlives its stream, or has ended after all; such handlers count as open streams. */
  linger(change: 1 | -1): void {
    this.#lingering += change;
  }

  // What streams ask for.

  sendHeaders(stream: Stream, fixed: FixedFields, extra: readonly string[], endStream: boolean): void {
    this.#sender.sendHeaders(stream, fixed, extra, endStream);
    if (endStream) {
      if (!stream.remoteClosed) this.#sender.writeReset(stream.id, ErrorCode.NO_ERROR);
      this.sentAll(stream);
    }
    this.#changed();
  }

  sendBytes(stream: Stream, bytes: Uint8Array): void {
    this.#sender.sendBytes(stream, bytes);
    this.#changed();
  }

  finish(stream: Stream, trailers: PendingTrailers | undefined): void {
    this.#sender.finish(stream, trailers);
    this.#changed();
  }

  resetStream(stream: Stream, errorCode: number): void {
    this.#sender.writeReset(stream.id, errorCode);
    this.#remove(stream, true);
    this.#changed();
  }

  credit(stream: Stream): void {
    if (stream.uncreditedBytes * 2 < stream.receiveTarget) return;
    const target = this.#estimate.windowBytes;
    const increment = stream.uncreditedBytes + Math.max(0, target - stream.receiveTarget);
    stream.receiveTarget = Math.max(target, stream.receiveTarget);
    stream.uncreditedBytes = 0;
    stream.receiveWindow += increment;
    this.#frames.windowUpdate(stream.id, increment);
    if (this.#estimate.wantsSample) {
      this.#estimate.begin();
      this.#frames.ping(bandwidthPing);
    }
    this.#changed();
  }

  dropped(bytes: number): void {
    this.#sender.dropped(bytes);
  }

  // What the sender tells.

  sentAll(stream: Stream): void {
    this.#control.earn(1);
    this.#resets.earn(1);
    this.#remove(stream, !stream.remoteClosed);
    stream.handler?.onSent();
  }

  progressed(worth: number): void {
    this.#control.earn(worth);
    this.#pings.forgive();
  }

  /** Something was written in place; the owner is told unless it looks anyway. */
  changed(): void {
    this.#changed();
  }

  #changed(): void {
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
    this.#frames.goAway(this.#lastTakenId, error.code, error.message);
    this.#finish();
  }

  #finish(): void {
    this.#phase = { t: "closed" };
    this.#finished = true;
    this.#resetAll();
  }

  #resetAll(): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) {
      stream.open = false;
      stream.dropPending();
      stream.handler?.onReset();
    }
  }

  #remove(stream: Stream, byUs: boolean): void {
    stream.open = false;
    stream.dropPending();
    this.#sender.forget(stream);
    this.#streams.delete(stream.id);
    this.#closedStreams.add(stream.id, byUs);
    if (this.#phase.t === "leaving" && this.#streams.size === 0) this.#finish();
  }

  #checkClocks(nowMs: number): void {
    if (!this.established && nowMs - this.#openedAtMs >= this.#limits.handshakeTimeoutMs) {
      throw new Http2Error("SETTINGS_TIMEOUT", "the client did not begin to speak HTTP/2 in time");
    }
    if (this.#block !== undefined && nowMs - this.#block.startedAtMs >= this.#limits.headerTimeoutMs) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "a request's fields did not come to their end in time");
    }
    if (this.#phase.t === "announced" && nowMs - this.#phase.sinceMs >= goAwayPingTimeoutMs) this.#takeNoMore();
    const verdict = this.#lifetime.check(nowMs, this.#streams.size);
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
    this.#frames.goAway(this.#lastTakenId, "NO_ERROR", "");
    if (this.#streams.size === 0) this.#finish();
  }

  #charge(cost: number): void {
    if (!this.#control.spend(cost, this.#nowMs)) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "too many frames without content");
    }
  }

  // Frames we send.

  #sendPreface(): void {
    const { maxConcurrentStreams, initialWindowBytes, maxHeaderListBytes } = this.#limits;
    this.#frames.settings([
      [SettingId.MAX_CONCURRENT_STREAMS, Math.min(maxConcurrentStreams, maxInt31)],
      [SettingId.INITIAL_WINDOW_SIZE, initialWindowBytes],
      [SettingId.MAX_HEADER_LIST_SIZE, Math.min(maxHeaderListBytes, maxInt31)],
    ]);
    this.#frames.windowUpdate(0, this.#window.targetBytes - 65_535);
  }

  /** Answers a broken rule that concerns one stream alone. */
  #resetById(streamId: number, code: ErrorName): void {
    this.#charge(1);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#sender.writeReset(streamId, ErrorCode[code]);
      this.#closedStreams.add(streamId, true);
    } else {
      this.#spendReset(stream);
      this.resetStream(stream, ErrorCode[code]);
      stream.handler?.onReset();
    }
  }

  // Frames that come.

  #frame(type: number, flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#finished) return;
    if (this.#settings === clientSettings.awaited && (type !== FrameType.SETTINGS || (flags & FrameFlag.ACK) !== 0)) {
      throw new Http2Error("PROTOCOL_ERROR", "the first frame is not SETTINGS");
    }
    if (this.#block !== undefined && (type !== FrameType.CONTINUATION || id !== this.#block.streamId)) {
      throw new Http2Error("PROTOCOL_ERROR", "a field block is interrupted by another frame");
    }
    switch (type) {
      case FrameType.DATA:
        this.#data(flags, id, bytes, start, end);
        return;
      case FrameType.HEADERS:
        this.#headers(flags, id, bytes, start, end);
        return;
      case FrameType.PRIORITY:
        this.#priority(id, bytes, start, end);
        return;
      case FrameType.RST_STREAM:
        this.#rstStream(id, bytes, start, end);
        return;
      case FrameType.SETTINGS:
        this.#settingsFrame(flags, id, bytes, start, end);
        return;
      case FrameType.PUSH_PROMISE:
        throw new Http2Error("PROTOCOL_ERROR", "a client does not push");
      case FrameType.PING:
        this.#pingFrame(flags, id, bytes, start, end);
        return;
      case FrameType.GOAWAY:
        this.#goAwayFrame(id, bytes, start, end);
        return;
      case FrameType.WINDOW_UPDATE:
        this.#windowUpdate(id, bytes, start, end);
        return;
      case FrameType.CONTINUATION:
        this.#continuation(flags, id, bytes, start, end);
        return;
      default:
        // RFC 9113 section 4.1: unknown types are passed over.
        this.#charge(1);
    }
  }

  /** A frame for a stream that was never opened is an error of the connection (RFC 9113 section 5.1, "idle"). */
  #checkNotIdle(id: number, what: string): void {
    if (id === 0) throw new Http2Error("PROTOCOL_ERROR", `${what} names no stream`);
    if (id > this.#lastSeenId || id % 2 === 0) throw new Http2Error("PROTOCOL_ERROR", `${what} on an idle stream`);
  }

  #data(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    this.#checkNotIdle(id, "DATA");
    const length = end - start;
    const credit = this.#window.received(length, this.#estimate.windowBytes);
    if (credit > 0) this.#frames.windowUpdate(0, credit);
    const content = readData(bytes, start, end, flags);
    const contentBytes = content.end - content.start;
    const last = (flags & FrameFlag.END_STREAM) !== 0;
    // No gRPC message is shorter than its prefix of five bytes, so a frame below that carries nothing.
    if (contentBytes < 5 && !last) this.#charge(1);
    else this.#control.earn(contentBytes >> 10);
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      if (id <= this.#lastTakenId && this.#closedStreams.how(id) !== "by-us") this.#resetById(id, "STREAM_CLOSED");
      else this.#charge(1);
      return;
    }
    if (stream.remoteClosed) {
      this.#resetById(id, "STREAM_CLOSED");
      return;
    }
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      this.#resetById(id, "FLOW_CONTROL_ERROR");
      return;
    }
    stream.receivedBytes += contentBytes;
    if (this.#contradictsLength(stream, last)) {
      this.#resetById(id, "PROTOCOL_ERROR");
      return;
    }
    stream.remoteClosed = last;
    if (length > contentBytes) stream.consume(length - contentBytes);
    this.#estimate.received(length);
    stream.handler?.onData(bytes, content.start, content.end, last);
  }

  #contradictsLength(stream: Stream, last: boolean): boolean {
    const { contentLength } = stream.request;
    if (contentLength < 0) return false;
    return stream.receivedBytes > contentLength || (last && stream.receivedBytes !== contentLength);
  }

  #headers(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id === 0 || id % 2 === 0) throw new Http2Error("PROTOCOL_ERROR", "HEADERS on a stream that no client opens");
    const payload = readHeaders(bytes, start, end, flags);
    if (payload.dependency === id) throw new Http2Error("PROTOCOL_ERROR", "a stream depends on itself");
    if (id <= this.#lastSeenId && !this.#streams.has(id)) this.#checkLateHeaders(id);
    if ((flags & FrameFlag.END_HEADERS) !== 0) {
      this.#fieldBlock(flags, id, bytes, payload.start, payload.end);
      return;
    }
    this.#block = new FieldBlock(id, flags, this.#nowMs, this.#limits.maxHeaderBlockBytes);
    this.#block.add(bytes, payload.start, payload.end);
  }

  #checkLateHeaders(id: number): void {
    switch (this.#closedStreams.how(id)) {
      case "by-us":
        return;
      case "by-peer":
        throw new Http2Error("STREAM_CLOSED", "HEADERS on a stream that is closed");
      case "forgotten":
        if (id > this.#lastTakenId) return;
        throw new Http2Error("PROTOCOL_ERROR", "a stream's number is not above those before it");
    }
  }

  #continuation(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    const block = this.#block;
    if (block === undefined) throw new Http2Error("PROTOCOL_ERROR", "CONTINUATION without HEADERS");
    // Many tiny parts cost more than their bytes (CVE-2024-27316).
    this.#charge(end - start < 256 ? 8 : 1);
    block.add(bytes, start, end);
    if ((flags & FrameFlag.END_HEADERS) === 0) return;
    this.#block = undefined;
    const whole = block.whole();
    this.#fieldBlock(block.flags, id, whole, 0, whole.length);
  }

  #fieldBlock(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    const { maxHeaderBlockBytes, maxHeaderListBytes } = this.#limits;
    checkBlockBytes(end - start, maxHeaderBlockBytes);
    const list = this.#decoder.decode(bytes, start, end, maxHeaderListBytes);
    const tooLarge = list.bytes > maxHeaderListBytes;
    // A small block that unfolds to very much is paid for by its size, because decoding it was the work.
    if (tooLarge) this.#charge(list.bytes >> 12);
    const last = (flags & FrameFlag.END_STREAM) !== 0;
    const stream = this.#streams.get(id);
    if (stream !== undefined) this.#trailers(stream, list.fields, last);
    else if (id <= this.#lastSeenId) this.#charge(1);
    else this.#request(id, list.fields, tooLarge, last);
  }

  #trailers(stream: Stream, fields: readonly string[], last: boolean): void {
    if (stream.remoteClosed) {
      this.#resetById(stream.id, "STREAM_CLOSED");
      return;
    }
    if (!last || !areTrailersWellFormed(fields) || this.#contradictsLength(stream, true)) {
      this.#resetById(stream.id, "PROTOCOL_ERROR");
      return;
    }
    stream.remoteClosed = true;
    stream.handler?.onData(noBytes, 0, 0, true);
  }

  #request(id: number, fields: readonly string[], tooLarge: boolean, last: boolean): void {
    this.#lastSeenId = id;
    // RFC 9113 section 6.8: what comes after the last number of GOAWAY is passed over; the client tries elsewhere.
    if (this.#phase.t === "leaving") {
      this.#charge(1);
      return;
    }
    this.#lastTakenId = id;
    const { maxConcurrentStreams, maxPendingResponseBytes } = this.#limits;
    if (
      this.#streams.size + this.#lingering >= maxConcurrentStreams ||
      this.#sender.pendingBytes > maxPendingResponseBytes
    ) {
      this.#resetById(id, "REFUSED_STREAM");
      return;
    }
    const request = tooLarge ? oversizedRequest : readRequestFields(fields);
    if (request === undefined || (last && request.contentLength > 0)) {
      this.#resetById(id, "PROTOCOL_ERROR");
      return;
    }
    const windows = { receive: this.#limits.initialWindowBytes, send: this.#peerInitialWindow };
    const stream = new Stream(id, request, this, windows, this.#nowMs);
    stream.remoteClosed = last;
    this.#streams.set(id, stream);
    this.#events.onRequest(stream, tooLarge);
    if (last && stream.open) stream.handler?.onData(noBytes, 0, 0, true);
  }

  #priority(id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id === 0) throw new Http2Error("PROTOCOL_ERROR", "PRIORITY names no stream");
    this.#charge(1);
    if (end - start !== priorityPayloadBytes) this.#resetById(id, "FRAME_SIZE_ERROR");
    else if (readPriorityDependency(bytes, start) === id) this.#resetById(id, "PROTOCOL_ERROR");
  }

  #rstStream(id: number, bytes: Uint8Array, start: number, end: number): void {
    this.#checkNotIdle(id, "RST_STREAM");
    readRstStream(bytes, start, end);
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      this.#charge(1);
      return;
    }
    this.#spendReset(stream);
    this.#remove(stream, false);
    stream.handler?.onReset();
  }

  /**
   * A request that is taken back at once costs us its work and the client nothing (CVE-2023-44487), also when the client
   * breaks a rule so that it is us who reset it (CVE-2025-8671).
   */
  #spendReset(stream: Stream): void {
    if (stream.headersSent || this.#nowMs - stream.openedAtMs >= resetMatureMs) return;
    if (!this.#resets.spend(1, this.#nowMs)) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "too many requests taken back at once");
    }
  }

  #settingsFrame(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id !== 0) throw new Http2Error("PROTOCOL_ERROR", "SETTINGS on a stream");
    if ((flags & FrameFlag.ACK) !== 0) {
      if (start !== end) throw new Http2Error("FRAME_SIZE_ERROR", "an acknowledgement of SETTINGS has content");
      this.#charge(1);
      return;
    }
    this.#charge(1 + ((end - start) >> 6));
    const settings = readSettings(bytes, start, end);
    this.#settings = clientSettings.received;
    if (settings.headerTableBytes !== undefined) {
      this.#sender.blocks.encoder.limitTable(settings.headerTableBytes.lowest, settings.headerTableBytes.last);
    }
    if (settings.maxHeaderListBytes !== undefined) this.#peerMaxHeaderListBytes = settings.maxHeaderListBytes;
    this.#frames.settingsAck();
    if (settings.initialWindowBytes !== undefined) this.#moveWindows(settings.initialWindowBytes);
  }

  /** RFC 9113 section 6.9.2: a new initial window moves the window of every open stream by the difference. */
  #moveWindows(initialWindow: number): void {
    const difference = initialWindow - this.#peerInitialWindow;
    if (difference === 0) return;
    this.#charge(Math.ceil(this.#streams.size / windowsPerCost));
    this.#peerInitialWindow = initialWindow;
    for (const stream of this.#streams.values()) {
      if (!this.#sender.growStreamWindow(stream, difference)) {
        throw new Http2Error("FLOW_CONTROL_ERROR", "INITIAL_WINDOW_SIZE moves a stream's window past 2^31-1");
      }
    }
  }

  #pingFrame(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id !== 0) throw new Http2Error("PROTOCOL_ERROR", "PING on a stream");
    const payload = readPing(bytes, start, end);
    this.#charge(1);
    if ((flags & FrameFlag.ACK) === 0) {
      if (!this.#pings.allows(this.#nowMs, this.#streams.size > 0)) {
        throw new Http2Error("ENHANCE_YOUR_CALM", "too_many_pings");
      }
      this.#frames.ping(payload, true);
    } else if (bandwidthPing.equals(payload)) {
      this.#estimate.end();
    } else if (this.#phase.t === "announced" && goAwayPing.equals(payload)) {
      this.#takeNoMore();
    }
  }

  /** A client that leaves still gets the answers to what it asked; it closes the connection itself. */
  #goAwayFrame(id: number, bytes: Uint8Array, start: number, end: number): void {
    if (id !== 0) throw new Http2Error("PROTOCOL_ERROR", "GOAWAY on a stream");
    readGoAway(bytes, start, end);
    this.#charge(1);
  }

  #windowUpdate(id: number, bytes: Uint8Array, start: number, end: number): void {
    const increment = readWindowUpdate(bytes, start, end);
    this.#charge(1);
    if (id === 0) {
      if (increment === 0) throw new Http2Error("PROTOCOL_ERROR", "WINDOW_UPDATE of 0");
      this.#sender.growConnectionWindow(increment);
      return;
    }
    this.#checkNotIdle(id, "WINDOW_UPDATE");
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (increment === 0) this.#resetById(id, "PROTOCOL_ERROR");
    else if (!this.#sender.growStreamWindow(stream, increment)) this.#resetById(id, "FLOW_CONTROL_ERROR");
  }
}

const noBytes = new Uint8Array();
const oversizedRequest = { method: "", path: "", scheme: "", authority: "", fields: [], contentLength: -1 };
