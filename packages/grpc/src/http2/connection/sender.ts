import { ErrorCode } from "../error-code.ts";
import { writeDataHeader } from "../frame/data.ts";
import { defaultMaxFrameBytes, frameHeaderBytes, maxInt31 } from "../frame/frame-header.ts";
import { writeHeadersHeader } from "../frame/headers.ts";
import { rstStreamBytes, writeRstStream } from "../frame/rst-stream.ts";
import { Http2Error } from "../http2-error.ts";
import { FieldBlocks } from "./field-blocks.ts";
import type { FixedFields } from "./fixed-fields.ts";
import { Output } from "./output.ts";
import type { Stream } from "./stream.ts";
import { TurnQueue } from "./turn-queue.ts";

/** A message's writer is offered at least this much room in place. */
const smallestRoomBytes = 512;
/** Least that a stream may write in a turn while others wait, so that turns are not many and tiny. */
const leastShareBytes = 1024;
/** A frame this short, because the window is, earns its sender nothing. */
const tinyFrameBytes = 256;

/** Fewer streams of the past in the queue are not worth a look at all of it. */
const leastGoneInQueue = 64;

/** What a sender tells its connection. */
export interface SenderOwner {
  /** The answer is complete and its last frame written. */
  sentAll(stream: Stream): void;
  /** A HEADERS or DATA frame was written; `worth` is 0 when a tiny window made it so short. */
  progressed(worth: number): void;
}

/**
 * The sending half of a connection: frames of all streams into one {@link Output}, flow control (RFC 9113 section 5.2),
 * and turns. Content that fits is written in place at once, messages of one stream that follow one another into one
 * frame. What does not fit, or comes when the turn's share is used up, waits in its stream; streams that wait are
 * served round robin by {@link pump}.
 */
export class Sender {
  readonly output: Output = new Output();
  readonly blocks: FieldBlocks = new FieldBlocks();
  readonly #owner: SenderOwner;
  readonly #maxUnflushedBytes: number;
  readonly #queue = new TurnQueue<Stream>();
  /** What the whole connection may still send. */
  #window = 65_535;
  /** The stream whose DATA frame is the last thing written and not taken, its place and length. */
  #growing: Stream | undefined;
  #growingAt = 0;
  #growingBytes = 0;
  #turn = 1;
  #pendingBytes = 0;
  /** Streams in the queue that are gone. */
  #goneInQueue = 0;

  constructor(owner: SenderOwner, maxUnflushedBytes: number) {
    this.#owner = owner;
    this.#maxUnflushedBytes = maxUnflushedBytes;
  }

  /** True when {@link pump} would find something to do. */
  get hasWork(): boolean {
    return this.#queue.size > 0 && this.#window > 0;
  }

  /** Content of all streams that waits for a window or for its turn. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Streams that wait for their turn, a few that are gone included. */
  get queuedStreams(): number {
    return this.#queue.size;
  }

  /** Takes what was written. A new turn begins, in which each stream has its share again. */
  take(): readonly Buffer[] {
    this.#growing = undefined;
    this.#turn += 1;
    return this.output.take();
  }

  /** Makes room for a frame and ends the growing DATA frame; the caller writes at `output.at` and moves it. */
  reserve(bytes: number): Output {
    this.#growing = undefined;
    this.output.reserve(bytes);
    return this.output;
  }

  growConnectionWindow(increment: number): void {
    this.#window += increment;
    if (this.#window > maxInt31) throw new Http2Error("FLOW_CONTROL_ERROR", "the connection's window passes 2^31-1");
  }

  /** False when the stream's window passes its maximum. */
  growStreamWindow(stream: Stream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > maxInt31) return false;
    if (stream.sendWindow > 0 && (stream.pendingBytes > 0 || stream.wantsRoom)) this.#enqueue(stream);
    return true;
  }

  sendHeaders(stream: Stream, fixed: FixedFields, extra: readonly string[], endStream: boolean): void {
    stream.headersSent = true;
    const most = this.blocks.maxBytes(fixed, extra);
    if (most <= defaultMaxFrameBytes) {
      const { chunk, at } = this.reserve(frameHeaderBytes + most);
      const start = at + frameHeaderBytes;
      const end = this.blocks.write(chunk, start, fixed, extra);
      writeHeadersHeader(chunk, at, stream.id, end - start, { first: true, last: true, endStream });
      this.output.at = end;
    } else {
      this.#sendLongBlock(stream.id, fixed, extra, most, endStream);
    }
    this.#owner.progressed(1);
  }

  #sendLongBlock(
    streamId: number,
    fixed: FixedFields,
    extra: readonly string[],
    most: number,
    endStream: boolean,
  ): void {
    const scratch = Buffer.allocUnsafe(most);
    const block = scratch.subarray(0, this.blocks.write(scratch, 0, fixed, extra));
    let from = 0;
    do {
      const length = Math.min(defaultMaxFrameBytes, block.length - from);
      const { chunk, at } = this.reserve(frameHeaderBytes + length);
      const frame = { first: from === 0, last: from + length === block.length, endStream };
      const start = writeHeadersHeader(chunk, at, streamId, length, frame);
      chunk.set(block.subarray(from, from + length), start);
      this.output.at = start + length;
      from += length;
    } while (from < block.length);
  }

  /**
   * Where content of this stream can be written straight into the output, or -1. There is room for 512 bytes at least
   * and up to `output.freeBytes`; nothing else may be called before {@link commit}.
   */
  begin(stream: Stream): number {
    if (!this.#takesInPlace(stream)) return -1;
    if (this.#growing === stream && this.output.freeBytes >= smallestRoomBytes) return this.output.at;
    this.reserve(frameHeaderBytes + smallestRoomBytes);
    return this.output.at + frameHeaderBytes;
  }

  /** Sends the content that was written at `at` (from {@link begin}). False when it does not fit after all. */
  commit(stream: Stream, at: number, bytes: number): boolean {
    const grows = this.#growing === stream;
    const frameBytes = grows ? this.#growingBytes + bytes : bytes;
    if (bytes > this.#window || bytes > stream.sendWindow || frameBytes > defaultMaxFrameBytes) return false;
    const { output } = this;
    if (grows) output.growFrame(this.#growingAt, frameBytes);
    else {
      writeDataHeader(output.chunk, output.at, stream.id, bytes, false);
      this.#growing = stream;
      this.#growingAt = output.at;
    }
    this.#growingBytes = frameBytes;
    output.at = at + bytes;
    this.#sent(stream, bytes);
    if (!grows) this.#owner.progressed(1);
    return true;
  }

  sendBytes(stream: Stream, bytes: Uint8Array): void {
    if (bytes.length <= smallestRoomBytes) {
      const at = this.begin(stream);
      if (at >= 0) {
        copySmall(bytes, this.output.chunk, at);
        if (this.commit(stream, at, bytes.length)) return;
      }
    }
    this.sendPieces(stream, bytes, nothing);
  }

  /** Sends two pieces behind one another. The bytes are kept as they are until they are sent. */
  sendPieces(stream: Stream, first: Uint8Array, second: Uint8Array): void {
    const waits = stream.pendingBytes > 0;
    this.#keep(stream, first);
    this.#keep(stream, second);
    while (!waits && stream.pendingBytes > 0 && this.#mayFrame(stream)) this.#sendPending(stream);
    if (stream.pendingBytes > 0 && stream.sendWindow > 0) this.#enqueue(stream);
  }

  /** Ends the answer with trailers, behind pending content. */
  sendTrailers(stream: Stream, fixed: FixedFields, extra: readonly string[]): void {
    if (stream.pendingBytes > 0) {
      stream.ending = { fixed, extra };
      return;
    }
    this.sendHeaders(stream, fixed, extra, true);
    this.#ended(stream);
  }

  /** Ends the answer without trailers, behind pending content. */
  finish(stream: Stream): void {
    stream.ending = "bare";
    if (stream.pendingBytes === 0) this.#sendEnding(stream);
  }

  /**
   * Whether the stream should write on. When not, its handler is called once there is room: its window is open, the
   * output is short, and others had their turn.
   */
  hasRoom(stream: Stream): boolean {
    if (!stream.open) return false;
    const room =
      stream.pendingBytes === 0 &&
      stream.sendWindow > 0 &&
      this.#window > 0 &&
      this.output.unsentBytes < this.#maxUnflushedBytes &&
      (this.#queue.size === 0 || this.#hasShare(stream));
    if (!room) {
      stream.wantsRoom = true;
      if (stream.sendWindow > 0) this.#enqueue(stream);
    }
    return room;
  }

  /** Lets waiting streams send and write, each at most once, until the turn's output is full. */
  pump(): void {
    for (let left = this.#queue.size; left > 0 && this.#window > 0; left -= 1) {
      if (this.output.unsentBytes >= this.#maxUnflushedBytes) return;
      const stream = this.#queue.shift();
      if (stream === undefined) return;
      stream.queued = false;
      if (!stream.open) this.#goneInQueue -= 1;
      if (!stream.open || stream.sendWindow <= 0) continue;
      if (stream.pendingBytes > 0) this.#sendPending(stream);
      if (stream.pendingBytes > 0) {
        if (stream.sendWindow > 0) this.#enqueue(stream);
      } else if (stream.wantsRoom && stream.open) {
        stream.wantsRoom = false;
        stream.handler?.onWritable();
      }
    }
  }

  /** A stream has forgotten so much of what waited. */
  dropped(bytes: number): void {
    this.#pendingBytes -= bytes;
  }

  /**
   * The stream is gone. The queue lets such streams go when they are half of it: with a connection window of 0 no turn
   * comes that would, and a client could go on making and dropping them.
   */
  forget(stream: Stream): void {
    if (!stream.queued) return;
    this.#goneInQueue += 1;
    if (this.#goneInQueue < leastGoneInQueue || this.#goneInQueue * 2 < this.#queue.size) return;
    this.#queue.keep(({ open }) => open);
    this.#goneInQueue = 0;
  }

  writeReset(streamId: number, errorCode: number): void {
    const output = this.reserve(rstStreamBytes);
    output.at = writeRstStream(output.chunk, output.at, streamId, errorCode);
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#queue.clear();
    this.#goneInQueue = 0;
    this.#growing = undefined;
    this.output.close();
  }

  /** In-place writing goes on a little past the turn's bound: a handler that was just woken has one message in its hands. */
  #takesInPlace(stream: Stream): boolean {
    return (
      stream.pendingBytes === 0 &&
      this.#window > 0 &&
      stream.sendWindow > 0 &&
      this.output.unsentBytes < 2 * this.#maxUnflushedBytes
    );
  }

  #mayFrame(stream: Stream): boolean {
    return this.#window > 0 && stream.sendWindow > 0 && this.output.unsentBytes < this.#maxUnflushedBytes;
  }

  /** Whether the stream has not had its part of a turn that others want too. */
  #hasShare(stream: Stream): boolean {
    const share = this.#maxUnflushedBytes / (this.#queue.size + 1);
    const used = stream.turn === this.#turn ? stream.turnBytes : 0;
    return used < Math.max(share, leastShareBytes);
  }

  #keep(stream: Stream, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    stream.pending ??= [];
    stream.pending.push(bytes);
    stream.pendingBytes += bytes.length;
    this.#pendingBytes += bytes.length;
  }

  /** Sends pending content, one full frame's worth. */
  #sendPending(stream: Stream): void {
    const length = Math.min(this.#window, stream.sendWindow, defaultMaxFrameBytes, stream.pendingBytes);
    if (length <= 0) return;
    const output = this.reserve(frameHeaderBytes + length);
    const bare = stream.ending === "bare" && length === stream.pendingBytes;
    let at = writeDataHeader(output.chunk, output.at, stream.id, length, bare);
    const end = at + length;
    const pending = stream.pending ?? [];
    let used = 0;
    while (at < end) {
      const piece = pending[used] as Uint8Array;
      const taken = Math.min(end - at, piece.length - stream.pendingOffset);
      output.chunk.set(piece.subarray(stream.pendingOffset, stream.pendingOffset + taken), at);
      at += taken;
      stream.pendingOffset += taken;
      if (stream.pendingOffset === piece.length) {
        used += 1;
        stream.pendingOffset = 0;
      }
    }
    if (used > 0) pending.splice(0, used);
    stream.pendingBytes -= length;
    this.#pendingBytes -= length;
    output.at = end;
    this.#sent(stream, length);
    this.#owner.progressed(length < tinyFrameBytes && stream.pendingBytes > 0 ? 0 : 1);
    if (bare) this.#ended(stream);
    else if (stream.pendingBytes === 0 && stream.ending !== undefined) this.#sendEnding(stream);
  }

  #sendEnding(stream: Stream): void {
    const { ending } = stream;
    if (ending === undefined) return;
    if (ending === "bare") {
      const output = this.reserve(frameHeaderBytes);
      output.at = writeDataHeader(output.chunk, output.at, stream.id, 0, true);
    } else {
      this.sendHeaders(stream, ending.fixed, ending.extra, true);
    }
    this.#ended(stream);
  }

  #ended(stream: Stream): void {
    // RFC 9113 section 8.1: the answer is complete, so the client need not send the rest of its request.
    if (!stream.remoteClosed) this.writeReset(stream.id, ErrorCode.NO_ERROR);
    this.#owner.sentAll(stream);
  }

  #sent(stream: Stream, bytes: number): void {
    this.#window -= bytes;
    stream.sendWindow -= bytes;
    if (stream.turn !== this.#turn) {
      stream.turn = this.#turn;
      stream.turnBytes = 0;
    }
    stream.turnBytes += bytes;
  }

  #enqueue(stream: Stream): void {
    if (stream.queued) return;
    stream.queued = true;
    this.#queue.push(stream);
  }
}

const nothing = new Uint8Array();

/** A loop, because a call into native code costs more than a token's few bytes. */
export function copySmall(from: Uint8Array, to: Uint8Array, at: number): void {
  if (from.length > 64) {
    to.set(from, at);
    return;
  }
  for (let i = 0; i < from.length; i += 1) to[at + i] = from[i] as number;
}
