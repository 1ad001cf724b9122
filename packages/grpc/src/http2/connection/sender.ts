import { ErrorCode } from "../error-code.ts";
import { answerContentBytes, maxAnswerBytes, writeAnswer } from "../frame/answer.ts";
import { copyBytes } from "../frame/copy-bytes.ts";
import { writeDataHeader } from "../frame/data.ts";
import { defaultMaxFrameBytes, frameHeaderBytes, maxInt31 } from "../frame/frame-header.ts";
import { rstStreamBytes, writeRstStream } from "../frame/rst-stream.ts";
import { Http2Error } from "../http2-error.ts";
import type { Accounts } from "./accounts.ts";
import { FieldBlocks, maxKeptBytes, type WholeAnswer } from "./field-blocks.ts";
import type { FixedFields } from "./fixed-fields.ts";
import { writeHeaders } from "./header-frames.ts";
import { Output } from "./output.ts";
import type { Stream } from "./stream.ts";
import { TurnQueue } from "./turn-queue.ts";
import { type Ending, Waiting } from "./waiting.ts";

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
  /** There is output to take, or content waits. Not told again of content that joins output which waits to be taken. */
  changed(): void;
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
  readonly #accounts: Accounts;
  readonly #maxUnflushedBytes: number;
  readonly #queue = new TurnQueue<Stream>();
  /** What the whole connection may still send. */
  #window = 65_535;
  /** Number of the stream whose DATA frame is the last thing written and not taken, 0 for none, and where the frame is. */
  #lastId = 0;
  #lastAt = 0;
  /** The stream whose messages that frame takes without being counted, and places in the chunk. */
  #growing: Stream | undefined;
  /** What is behind this is not counted yet. */
  #growthFrom = 0;
  /** No content may pass this. */
  #growthEndAt = 0;
  /** No message may begin behind this. */
  #growthFullAt = 0;
  /** Behind this the stream should wait. */
  #growthRoomAt = 0;
  #turn = 1;
  #pendingBytes = 0;
  /** Streams in the queue that are gone. */
  #goneInQueue = 0;

  constructor(owner: SenderOwner, accounts: Accounts, maxUnflushedBytes: number) {
    this.#owner = owner;
    this.#accounts = accounts;
    this.#maxUnflushedBytes = maxUnflushedBytes;
  }

  /** True when {@link pump} would find something to do. */
  get hasWork(): boolean {
    this.#settle();
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
    this.#endFrame();
    this.#turn += 1;
    return this.output.take();
  }

  /** Makes room for a frame and ends the growing DATA frame; the caller writes at `output.at` and moves it. */
  reserve(bytes: number): Output {
    this.#endFrame();
    this.output.reserve(bytes);
    return this.output;
  }

  growConnectionWindow(increment: number): void {
    this.#settle();
    this.#window += increment;
    if (this.#window > maxInt31) throw new Http2Error("FLOW_CONTROL_ERROR", "the connection's window passes 2^31-1");
  }

  /** False when the stream's window passes its maximum. */
  growStreamWindow(stream: Stream, increment: number): boolean {
    this.#settle();
    stream.sendWindow += increment;
    if (stream.sendWindow > maxInt31) return false;
    const { waiting } = stream;
    if (waiting !== undefined && stream.sendWindow > 0 && (waiting.bytes > 0 || waiting.wantsRoom))
      this.#enqueue(stream, waiting);
    return true;
  }

  sendHeaders(stream: Stream, fixed: FixedFields, extra: readonly string[], endStream: boolean): void {
    stream.headersSent = true;
    writeHeaders(this, stream.id, fixed, extra, endStream);
    this.#accounts.sent(1);
  }

  /**
   * Where content of this stream can be written straight into the output, or -1. There is room for 512 bytes at least
   * and up to `output.freeBytes`; nothing else may be called before {@link commit}.
   */
  begin(stream: Stream): number {
    const { at } = this.output;
    if (this.#growing === stream && at < this.#growthFullAt) return at;
    this.#settle();
    if (!this.#takesInPlace(stream)) return -1;
    if (this.#lastId === stream.id && this.output.freeBytes >= smallestRoomBytes) {
      this.#grow(stream);
      return at;
    }
    this.reserve(frameHeaderBytes + smallestRoomBytes);
    return this.output.at + frameHeaderBytes;
  }

  /** Sends the content that was written at `at` (from {@link begin}). False when it does not fit after all. */
  commit(stream: Stream, at: number, bytes: number): boolean {
    const { output } = this;
    if (this.#growing === stream) {
      if (at + bytes > this.#growthEndAt) return false;
      output.at = at + bytes;
      return true;
    }
    if (bytes > this.#window || bytes > stream.sendWindow || bytes > defaultMaxFrameBytes) return false;
    const isFirst = output.unsentBytes === 0;
    writeDataHeader(output.chunk, output.at, stream.id, bytes, false);
    this.#lastId = stream.id;
    this.#lastAt = output.at;
    output.at = at + bytes;
    this.#sent(stream, bytes);
    this.#accounts.sent(1);
    if (isFirst) this.#owner.changed();
    return true;
  }

  /**
   * The last frame takes more messages of its stream. Places in the chunk say how far that goes, so that a message costs a
   * comparison or two; what it took is counted by {@link #settle} (bench/transport, s1 and s64).
   */
  #grow(stream: Stream): void {
    const { at, unsentBytes } = this.output;
    const frameLeft = this.#lastAt + frameHeaderBytes + defaultMaxFrameBytes - at;
    this.#growing = stream;
    this.#growthFrom = at;
    this.#growthEndAt = at + Math.min(this.#window, stream.sendWindow, frameLeft);
    this.#growthFullAt = Math.min(
      this.#growthEndAt,
      this.output.chunk.length - smallestRoomBytes,
      at + 2 * this.#maxUnflushedBytes - unsentBytes,
    );
    this.#growthRoomAt = Math.min(this.#growthEndAt, at + this.#maxUnflushedBytes - unsentBytes);
    if (this.#queue.size > 0) this.#growthRoomAt = Math.min(this.#growthRoomAt, at + this.#shareLeft(stream));
  }

  #endFrame(): void {
    this.#settle();
    this.#lastId = 0;
  }

  /** Counts what the growing frame took. It does not grow on without {@link #grow}. */
  #settle(): void {
    const stream = this.#growing;
    if (stream === undefined) return;
    this.#growing = undefined;
    const { output } = this;
    output.growFrame(this.#lastAt, output.at - this.#lastAt - frameHeaderBytes);
    this.#sent(stream, output.at - this.#growthFrom);
  }

  /**
   * Sends an answer whole when nothing is in its way: a header, one message of gRPC (the first `messageBytes` of `message`)
   * behind its prefix, and trailers. Three frames in one go cost half of what they cost one after the other (bench/transport,
   * m100). False when there is no room now, the message is not small, or a block has to be encoded: nothing was sent then.
   */
  sendAnswer(stream: Stream, message: Uint8Array, messageBytes: number, answer: WholeAnswer): boolean {
    this.#settle();
    const length = answerContentBytes(messageBytes);
    if (length > smallestRoomBytes || length > this.#window || length > stream.sendWindow) return false;
    const blocks = this.blocks.keptAnswer(answer);
    if (blocks === undefined || !this.#takesInPlace(stream)) return false;
    const output = this.reserve(maxAnswerBytes(maxKeptBytes, messageBytes));
    output.at = writeAnswer(output.chunk, output.at, stream.id, blocks, message, messageBytes);
    stream.headersSent = true;
    this.#window -= length;
    this.#accounts.sent(3);
    this.#ended(stream);
    this.#owner.changed();
    return true;
  }

  sendBytes(stream: Stream, bytes: Uint8Array): void {
    if (bytes.length <= smallestRoomBytes) {
      const at = this.begin(stream);
      if (at >= 0) {
        copyBytes(bytes, bytes.length, this.output.chunk, at);
        if (this.commit(stream, at, bytes.length)) return;
      }
    }
    this.sendPieces(stream, bytes, nothing);
  }

  /** Sends two pieces behind one another. The bytes are kept as they are until they are sent. */
  sendPieces(stream: Stream, first: Uint8Array, second: Uint8Array): void {
    this.#settle();
    const waiting = waitingOf(stream);
    const waits = waiting.bytes > 0;
    waiting.keep(first);
    waiting.keep(second);
    this.#pendingBytes += first.length + second.length;
    while (!waits && waiting.bytes > 0 && this.#mayFrame(stream)) this.#sendPending(stream, waiting);
    if (waiting.bytes > 0 && stream.sendWindow > 0) this.#enqueue(stream, waiting);
    this.#owner.changed();
  }

  /** Ends the answer with trailers, behind pending content. */
  sendTrailers(stream: Stream, fixed: FixedFields, extra: readonly string[]): void {
    this.#end(stream, { fixed, extra });
  }

  /** Ends the answer without trailers, behind pending content. */
  finish(stream: Stream): void {
    this.#end(stream, "bare");
  }

  /**
   * Whether the stream should write on. When not, its handler is called once there is room: its window is open, the
   * output is short, and others had their turn.
   */
  hasRoom(stream: Stream): boolean {
    if (!stream.open) return false;
    if (this.#growing === stream && this.output.at < this.#growthRoomAt) return true;
    this.#settle();
    const room =
      stream.pendingBytes === 0 &&
      stream.sendWindow > 0 &&
      this.#window > 0 &&
      this.output.unsentBytes < this.#maxUnflushedBytes &&
      (this.#queue.size === 0 || this.#shareLeft(stream) > 0);
    if (!room) {
      const waiting = waitingOf(stream);
      waiting.wantsRoom = true;
      if (stream.sendWindow > 0) this.#enqueue(stream, waiting);
    }
    return room;
  }

  /** Lets waiting streams send and write, each at most once, until the turn's output is full. */
  pump(): void {
    this.#settle();
    for (let left = this.#queue.size; left > 0 && this.#window > 0; left -= 1) {
      if (this.output.unsentBytes >= this.#maxUnflushedBytes) return;
      const stream = this.#queue.shift();
      if (stream === undefined) return;
      const waiting = waitingOf(stream);
      waiting.queued = false;
      if (!stream.open) this.#goneInQueue -= 1;
      if (!stream.open || stream.sendWindow <= 0) continue;
      if (waiting.bytes > 0) this.#sendPending(stream, waiting);
      if (waiting.bytes > 0) {
        if (stream.sendWindow > 0) this.#enqueue(stream, waiting);
      } else if (waiting.wantsRoom && stream.open) {
        waiting.wantsRoom = false;
        stream.handler?.onWritable();
      }
    }
  }

  /** A stream has forgotten so much of what waited. */
  dropped(bytes: number): void {
    this.#pendingBytes -= bytes;
  }

  /**
   * A stream in the queue is gone. The queue lets such streams go when they are half of it: with a connection window of 0
   * no turn comes that would, and a client could go on making and dropping them.
   */
  forget(): void {
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
    this.#endFrame();
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

  /** What is left to a stream of its part of a turn that others want too. */
  #shareLeft(stream: Stream): number {
    const share = this.#maxUnflushedBytes / (this.#queue.size + 1);
    return Math.max(share, leastShareBytes) - (stream.waiting?.writtenIn(this.#turn) ?? 0);
  }

  /** Sends pending content, one full frame's worth. */
  #sendPending(stream: Stream, waiting: Waiting): void {
    const length = Math.min(this.#window, stream.sendWindow, defaultMaxFrameBytes, waiting.bytes);
    if (length <= 0) return;
    const output = this.reserve(frameHeaderBytes + length);
    const bare = waiting.ending === "bare" && length === waiting.bytes;
    const at = writeDataHeader(output.chunk, output.at, stream.id, length, bare);
    waiting.moveInto(output.chunk, at, length);
    this.#pendingBytes -= length;
    output.at = at + length;
    this.#sent(stream, length);
    this.#accounts.sent(length < tinyFrameBytes && waiting.bytes > 0 ? 0 : 1);
    if (bare) this.#ended(stream);
    else if (waiting.bytes === 0 && waiting.ending !== undefined) this.#sendEnding(stream, waiting.ending);
  }

  #end(stream: Stream, ending: Ending): void {
    const { waiting } = stream;
    if (waiting !== undefined && waiting.bytes > 0) waiting.ending = ending;
    else this.#sendEnding(stream, ending);
  }

  #sendEnding(stream: Stream, ending: Ending): void {
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
    if (this.#queue.size > 0) waitingOf(stream).count(this.#turn, bytes);
  }

  #enqueue(stream: Stream, waiting: Waiting): void {
    if (waiting.queued) return;
    waiting.queued = true;
    this.#queue.push(stream);
  }
}

function waitingOf(stream: Stream): Waiting {
  stream.waiting ??= new Waiting();
  return stream.waiting;
}

const nothing = new Uint8Array();
