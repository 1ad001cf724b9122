import type { Limits } from "../../limits.ts";
import { ErrorCode, type ErrorName } from "../error-code.ts";
import { readData } from "../frame/data.ts";
import { defaultMaxFrameBytes, FrameFlag, FrameType } from "../frame/frame-header.ts";
import { readGoAway } from "../frame/goaway.ts";
import { readHeaders } from "../frame/headers.ts";
import { readPing } from "../frame/ping.ts";
import { priorityPayloadBytes, readPriorityDependency } from "../frame/priority.ts";
import { readRstStream } from "../frame/rst-stream.ts";
import { readSettings } from "../frame/settings.ts";
import { readWindowUpdate } from "../frame/window-update.ts";
import { HpackDecoder } from "../hpack/decoder.ts";
import { Http2Error } from "../http2-error.ts";
import type { Accounts } from "./accounts.ts";
import { BandwidthEstimate } from "./bandwidth.ts";
import { bandwidthPing, type ControlFrames, goAwayPing } from "./control-frames.ts";
import { checkBlockBytes, FieldBlock } from "./field-block.ts";
import { FrameReader } from "./frame-reader.ts";
import { KnownRequests } from "./known-requests.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { areTrailersWellFormed, type RequestFields, readRequestFields } from "./request-fields.ts";
import type { Sender } from "./sender.ts";
import { Stream, type StreamOwner } from "./stream.ts";
import type { StreamTable } from "./stream-table.ts";

/** What a receiver asks of its connection, and tells it. */
export interface ReceiverOwner extends StreamOwner {
  /** Nothing is taken any more. */
  readonly finished: boolean;
  /** False once new requests no longer count (RFC 9113 section 6.8). */
  readonly takesRequests: boolean;
  /** A request's fields came; see `ConnectionEvents.onRequest`. */
  requested(stream: Stream, tooLarge: boolean): void;
  removeStream(stream: Stream, byUs: boolean): void;
  /** The ping behind the first GOAWAY was answered. */
  goAwayHeard(): void;
}

const clientSettings = { awaited: 0, received: 1 } as const;
/** Streams whose windows move when the initial window changes, per unit of the control budget. */
const windowsPerCost = 64;

/**
 * The receiving half of a connection: cuts bytes into frames, checks each against the rules and the budgets, and hands
 * requests and their content on. It throws for what ends the connection.
 */
export class Receiver {
  readonly #owner: ReceiverOwner;
  readonly #limits: Limits;
  readonly #sender: Sender;
  readonly #frames: ControlFrames;
  readonly #table: StreamTable;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder();
  readonly #accounts: Accounts;
  readonly #estimate: BandwidthEstimate;
  readonly #window: ReceiveWindow;
  readonly #known = new KnownRequests();
  /** Of the last request that was well-formed. */
  #lastFields: readonly string[] = [];
  #settings: number = clientSettings.awaited;
  #block: FieldBlock | undefined;
  #nowMs: number;
  #peerInitialWindow = 65_535;
  #peerMaxHeaderListBytes = Number.POSITIVE_INFINITY;

  constructor(
    owner: ReceiverOwner,
    limits: Limits,
    sending: { readonly sender: Sender; readonly frames: ControlFrames; readonly accounts: Accounts },
    table: StreamTable,
    nowMs: number,
  ) {
    this.#owner = owner;
    this.#limits = limits;
    this.#sender = sending.sender;
    this.#frames = sending.frames;
    this.#accounts = sending.accounts;
    this.#table = table;
    this.#nowMs = nowMs;
    this.#reader = new FrameReader(defaultMaxFrameBytes, (type, flags, id, bytes, start, end) =>
      this.#frame(type, flags, id, bytes, start, end),
    );
    this.#estimate = new BandwidthEstimate(limits.initialWindowBytes, limits.maxWindowBytes);
    this.#window = new ReceiveWindow(limits.initialWindowBytes);
  }

  /** True once the client's preface and first SETTINGS came. */
  get established(): boolean {
    return this.#settings === clientSettings.received;
  }

  /** The field list that the client is ready to take. */
  get peerMaxHeaderListBytes(): number {
    return this.#peerMaxHeaderListBytes;
  }

  /** When a field block began that has not come to its end; undefined without one. */
  get blockStartedAtMs(): number | undefined {
    return this.#block?.startedAtMs;
  }

  /** What the client may send on the whole connection from the start. */
  get windowBytes(): number {
    return this.#window.targetBytes;
  }

  /** Takes what came, at most so many frames of it; answers how many bytes were taken. */
  read(bytes: Uint8Array, nowMs: number, maxFrames?: number): number {
    this.#nowMs = nowMs;
    this.#accounts.settle();
    return this.#reader.read(bytes, maxFrames);
  }

  /** Gives the client credit for what a stream's handler took, once it is worth a frame. */
  credit(stream: Stream): boolean {
    if (stream.uncreditedBytes * 2 < stream.receiveTarget) return false;
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
    return true;
  }

  #charge(cost: number): void {
    this.#accounts.charge(cost, this.#nowMs);
  }

  /** Answers a broken rule that concerns one stream alone. */
  #resetById(streamId: number, code: ErrorName): void {
    this.#charge(1);
    const stream = this.#table.open.get(streamId);
    if (stream === undefined) {
      this.#sender.writeReset(streamId, ErrorCode[code]);
      this.#table.closed.add(streamId, true);
    } else {
      this.#accounts.chargeReset(stream, this.#nowMs);
      this.#owner.resetStream(stream, ErrorCode[code]);
      stream.handler?.onReset();
    }
  }

  #frame(type: number, flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#owner.finished) return;
    if (this.#settings === clientSettings.awaited || this.#block !== undefined) this.#checkExpected(type, flags, id);
    if (type === FrameType.DATA) this.#data(flags, id, bytes, start, end);
    else if (type === FrameType.HEADERS) this.#headers(flags, id, bytes, start, end);
    else this.#rareFrame(type, flags, id, bytes, start, end);
  }

  #checkExpected(type: number, flags: number, id: number): void {
    if (this.#settings === clientSettings.awaited && (type !== FrameType.SETTINGS || (flags & FrameFlag.ACK) !== 0)) {
      throw new Http2Error("PROTOCOL_ERROR", "the first frame is not SETTINGS");
    }
    if (this.#block !== undefined && (type !== FrameType.CONTINUATION || id !== this.#block.streamId)) {
      throw new Http2Error("PROTOCOL_ERROR", "a field block is interrupted by another frame");
    }
  }

  #rareFrame(type: number, flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    switch (type) {
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
    if (id > this.#table.lastSeenId || id % 2 === 0)
      throw new Http2Error("PROTOCOL_ERROR", `${what} on an idle stream`);
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
    else this.#accounts.received(contentBytes);
    const stream = this.#table.open.get(id);
    if (stream === undefined || stream.remoteClosed) {
      this.#lateData(id, stream);
      return;
    }
    stream.receiveWindow -= length;
    stream.receivedBytes += contentBytes;
    if (stream.receiveWindow < 0 || this.#contradictsLength(stream, last)) {
      this.#resetById(id, stream.receiveWindow < 0 ? "FLOW_CONTROL_ERROR" : "PROTOCOL_ERROR");
      return;
    }
    stream.remoteClosed = last;
    if (length > contentBytes) stream.consume(length - contentBytes);
    this.#estimate.received(length);
    stream.handler?.onData(bytes, content.start, content.end, last);
  }

  /** Content of a stream that the client has ended, or that is gone. */
  #lateData(id: number, stream: Stream | undefined): void {
    const { lastTakenId, closed } = this.#table;
    if (stream !== undefined || (id <= lastTakenId && closed.how(id) !== "by-us")) this.#resetById(id, "STREAM_CLOSED");
    else this.#charge(1);
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
    if (id <= this.#table.lastSeenId && this.#table.open.get(id) === undefined) this.#checkLateHeaders(id);
    if ((flags & FrameFlag.END_HEADERS) !== 0) {
      this.#fieldBlock(flags, id, bytes, payload.start, payload.end);
      return;
    }
    this.#block = new FieldBlock(id, flags, this.#nowMs, this.#limits.maxHeaderBlockBytes);
    this.#block.add(bytes, payload.start, payload.end);
  }

  #checkLateHeaders(id: number): void {
    switch (this.#table.closed.how(id)) {
      case "by-us":
        return;
      case "by-peer":
        throw new Http2Error("STREAM_CLOSED", "HEADERS on a stream that is closed");
      case "forgotten":
        if (id > this.#table.lastTakenId) return;
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
    const last = (flags & FrameFlag.END_STREAM) !== 0;
    if (id > this.#table.lastSeenId) {
      const known = this.#known.find(bytes, start, end, this.#decoder.generation);
      if (known !== undefined) {
        if (this.#admits(id)) this.#request(id, known, false, last);
        return;
      }
    }
    const list = this.#decoder.decode(bytes, start, end, maxHeaderListBytes);
    const tooLarge = list.bytes > maxHeaderListBytes;
    // A small block that unfolds to very much is paid for by its size, because decoding it was the work.
    if (tooLarge) this.#charge(list.bytes >> 12);
    const stream = this.#table.open.get(id);
    if (stream !== undefined) this.#trailers(stream, list.fields, last);
    else if (id <= this.#table.lastSeenId) this.#charge(1);
    else if (this.#admits(id)) {
      const request = tooLarge ? oversizedRequest : readRequestFields(list.fields, this.#lastFields);
      if (request !== undefined && !tooLarge) {
        this.#lastFields = list.fields;
        this.#known.keep({ bytes, start, end }, this.#decoder.generation, list.bytes, request);
      }
      this.#request(id, request, tooLarge, last);
    }
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

  /** Whether a new request may come now. */
  #admits(id: number): boolean {
    this.#table.lastSeenId = id;
    // RFC 9113 section 6.8: what comes after the last number of GOAWAY is passed over; the client tries elsewhere.
    if (!this.#owner.takesRequests) {
      this.#charge(1);
      return false;
    }
    this.#table.lastTakenId = id;
    const { maxConcurrentStreams, maxPendingResponseBytes } = this.#limits;
    if (this.#table.busyStreams >= maxConcurrentStreams || this.#sender.pendingBytes > maxPendingResponseBytes) {
      this.#resetById(id, "REFUSED_STREAM");
      return false;
    }
    return true;
  }

  #request(id: number, request: RequestFields | undefined, tooLarge: boolean, last: boolean): void {
    if (request === undefined || (last && request.contentLength > 0)) {
      this.#resetById(id, "PROTOCOL_ERROR");
      return;
    }
    const { initialWindowBytes } = this.#limits;
    const stream = new Stream(id, request, this.#owner, initialWindowBytes, this.#peerInitialWindow, this.#nowMs);
    stream.remoteClosed = last;
    this.#table.open.add(stream);
    this.#owner.requested(stream, tooLarge);
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
    const stream = this.#table.open.get(id);
    if (stream === undefined) {
      this.#charge(1);
      return;
    }
    this.#accounts.chargeReset(stream, this.#nowMs);
    this.#owner.removeStream(stream, false);
    stream.handler?.onReset();
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
    this.#charge(Math.ceil(this.#table.open.size / windowsPerCost));
    this.#peerInitialWindow = initialWindow;
    for (const stream of this.#table.open.all()) {
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
      this.#accounts.chargePing(this.#nowMs, this.#table.open.size > 0);
      this.#frames.ping(payload, true);
    } else if (bandwidthPing.equals(payload)) {
      this.#estimate.end();
    } else if (goAwayPing.equals(payload)) {
      this.#owner.goAwayHeard();
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
    const stream = this.#table.open.get(id);
    if (stream === undefined) return;
    if (increment === 0) this.#resetById(id, "PROTOCOL_ERROR");
    else if (!this.#sender.growStreamWindow(stream, increment)) this.#resetById(id, "FLOW_CONTROL_ERROR");
  }
}

// A Buffer, as what comes from sockets is: code that meets one kind of bytes is compiled for one (bench/transport, m100).
const noBytes = Buffer.alloc(0);
const oversizedRequest = {
  method: "",
  path: "",
  scheme: "",
  authority: "",
  fields: [],
  contentLength: -1,
  note: undefined,
};
