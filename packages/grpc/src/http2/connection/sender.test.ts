import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ScriptedPeer, type SentFrame, setting } from "../../testing/scripted-peer.ts";
import { defaultMaxFrameBytes, FrameType, maxInt31 } from "../frame/frame-header.ts";
import { SettingId } from "../frame/settings.ts";
import { FixedFields } from "./fixed-fields.ts";
import type { Stream } from "./stream.ts";

const header = new FixedFields([":status", "200", "content-type", "application/grpc"]);
const trailers = new FixedFields(["grpc-status", "0"]);
const answer = { header, trailers };
const initialWindow = 65_535;

/** A client that keeps the books of flow control beside the server, and knows what each stream has to bring. */
class BookKeeper {
  readonly peer = new ScriptedPeer();
  readonly streams: Stream[] = [];
  readonly #expected = new Map<number, number[]>();
  readonly #received = new Map<number, number[]>();
  readonly #windows = new Map<number, number>([[0, initialWindow]]);
  #streamWindow = initialWindow;
  #nextByte = 0;
  #nextId = 1;

  constructor() {
    this.peer.begin();
    for (let count = 0; count < 3; count += 1) {
      const stream = this.open();
      stream.sendHeaders(header, [], false);
      this.streams.push(stream);
    }
    // Fields are known once they were written without adding to the table.
    for (let count = 0; count < 2; count += 1) {
      const stream = this.open();
      stream.sendHeaders(header, [], false);
      stream.sendTrailers(trailers, []);
    }
  }

  open(): Stream {
    const id = this.#nextId;
    this.#nextId += 2;
    this.peer.open(id, true);
    this.#windows.set(id, this.#streamWindow);
    return this.peer.stream(id);
  }

  content(stream: Stream, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const expected = this.#expected.get(stream.id) ?? [];
    this.#expected.set(stream.id, expected);
    for (let at = 0; at < length; at += 1) {
      bytes[at] = this.#nextByte;
      expected.push(this.#nextByte);
      this.#nextByte = (this.#nextByte + 1) % 251;
    }
    return bytes;
  }

  window(id: number): number {
    return this.#windows.get(id) ?? 0;
  }

  grant(id: number, increment: number): void {
    this.#windows.set(id, this.window(id) + increment);
    this.peer.windowUpdate(id, increment);
  }

  changeInitialWindow(bytes: number): void {
    // What was written before may pass the smaller windows.
    this.take();
    for (const id of this.#windows.keys()) {
      if (id !== 0) this.#windows.set(id, this.window(id) + bytes - this.#streamWindow);
    }
    this.#streamWindow = bytes;
    this.peer.frame(FrameType.SETTINGS, 0, 0, setting(SettingId.INITIAL_WINDOW_SIZE, bytes));
  }

  /** Takes what was sent and checks that it is within the windows and in order. */
  take(): SentFrame[] {
    const frames = this.peer.sent();
    for (const { type, streamId, payload } of frames) {
      if (type !== FrameType.DATA) continue;
      assert.ok(payload.length <= defaultMaxFrameBytes, "a frame is longer than the client takes");
      for (const id of [0, streamId]) {
        this.#windows.set(id, this.window(id) - payload.length);
        assert.ok(this.window(id) >= 0, `the window of ${id} is overdrawn`);
      }
      const received = this.#received.get(streamId) ?? [];
      this.#received.set(streamId, received);
      received.push(...payload);
    }
    return frames;
  }

  /** Gives windows until nothing waits, and compares what came with what was written. */
  settle(): void {
    for (const { id, open } of this.streams) if (open) this.grant(id, 1 << 20);
    this.grant(0, 1 << 24);
    for (let turn = 0; turn < 200; turn += 1) {
      this.take();
      this.peer.connection.pump();
    }
    this.take();
    for (const { id, open } of this.streams) {
      if (open) assert.deepEqual(this.#received.get(id) ?? [], this.#expected.get(id) ?? [], `content of stream ${id}`);
    }
  }
}

const stream = fc.integer({ min: 0, max: 2 });
const action = fc.oneof(
  // Often a few messages of one stream in a row, which share a frame.
  {
    weight: 6,
    arbitrary: fc.record({
      t: fc.constant("write" as const),
      stream,
      bytes: fc.integer({ min: 1, max: 700 }),
      times: fc.integer({ min: 1, max: 40 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("answer" as const), bytes: fc.integer({ min: 0, max: 600 }) }) },
  { weight: 3, arbitrary: fc.record({ t: fc.constantFrom("take" as const, "pump" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      t: fc.constant("grant" as const),
      stream: fc.option(stream),
      bytes: fc.integer({ min: 1, max: 40_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ t: fc.constant("initial" as const), bytes: fc.integer({ min: 0, max: 100_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("reset" as const), stream }) },
);

describe("the sender", () => {
  it("keeps to the windows, and counts them to the byte, however writing, turns, credit and resets mix", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60, size: "max" }), (actions) => {
        const books = new BookKeeper();
        const { sender } = books.peer.connection;
        const chosen = (index: number): Stream => books.streams[index] as Stream;
        for (const step of actions) {
          switch (step.t) {
            case "write":
              for (let time = 0; time < step.times && chosen(step.stream).open; time += 1) {
                chosen(step.stream).sendBytes(books.content(chosen(step.stream), step.bytes));
                sender.hasRoom(chosen(step.stream));
              }
              break;
            case "answer": {
              const other = books.open();
              const sent = sender.sendAnswer(other, Buffer.alloc(step.bytes), step.bytes, answer);
              assert.equal(other.open, !sent, "an answer that went out whole is at its end");
              if (!sent) other.reset(8);
              break;
            }
            case "take":
              books.take();
              break;
            case "pump":
              books.peer.connection.pump();
              break;
            case "grant":
              if (step.stream === null) books.grant(0, step.bytes);
              else if (chosen(step.stream).open) books.grant(chosen(step.stream).id, step.bytes);
              break;
            case "initial":
              books.changeInitialWindow(step.bytes);
              break;
            case "reset":
              if (chosen(step.stream).open)
                books.peer.frame(FrameType.RST_STREAM, 0, chosen(step.stream).id, Buffer.from([0, 0, 0, 8]));
              break;
          }
        }
        books.settle();
        for (const { id, open } of books.streams) if (open) books.grant(id, maxInt31 - books.window(id));
        books.grant(0, maxInt31 - books.window(0));
        assert.equal(books.peer.connection.failure, undefined, "windows at their maximum are no mistake");
        books.peer.windowUpdate(0, 1);
        books.peer.endsWith("FLOW_CONTROL_ERROR");
      }),
    );
  });

  it("writes an answer whole once its fields are known, in the frames that it has apart", () => {
    const books = new BookKeeper();
    const answer = { header: new FixedFields([":status", "200", "x", "y"]), trailers: new FixedFields(["z", "0"]) };
    const { sender } = books.peer.connection;
    const shapes = [];
    for (const name of ["fields are new", "fields were new", "fields are known"]) {
      books.take();
      const stream = books.open();
      const isKnown = name === "fields are known";
      assert.equal(sender.sendAnswer(stream, Buffer.from("hello, all"), 5, answer), isKnown, name);
      if (!isKnown) {
        stream.sendHeaders(answer.header, [], false);
        stream.sendBytes(Buffer.from("\0\0\0\0\x05hello"));
        stream.sendTrailers(answer.trailers, []);
      }
      shapes.push(
        books.take().map(({ type, flags, fields, payload }) => {
          return { type, flags, fields, content: type === FrameType.DATA ? payload.toString("latin1") : "" };
        }),
      );
    }
    assert.deepEqual(shapes[2], shapes[0]);
    assert.deepEqual(shapes[2], shapes[1]);
  });

  it("does not write an answer whole that a window does not let through", () => {
    const books = new BookKeeper();
    const { sender } = books.peer.connection;
    books.changeInitialWindow(9);
    assert.equal(sender.sendAnswer(books.open(), Buffer.alloc(5), 5, answer), false);
    assert.equal(sender.sendAnswer(books.open(), Buffer.alloc(4), 4, answer), true);
    books.take();
  });

  it("lets no frame grow past a window that SETTINGS made smaller", () => {
    const books = new BookKeeper();
    const [stream] = books.streams as [Stream];
    for (let time = 0; time < 3; time += 1) stream.sendBytes(books.content(stream, 100));
    const before = books.peer.connection.unsentBytes;
    books.peer.frame(FrameType.SETTINGS, 0, 0, setting(SettingId.INITIAL_WINDOW_SIZE, 250));
    const acknowledged = books.peer.connection.unsentBytes;
    stream.sendBytes(books.content(stream, 100));
    assert.equal(books.peer.connection.unsentBytes, acknowledged, "the window is at -50");
    assert.equal(acknowledged - before, 9, "the acknowledgement alone");
  });
});
