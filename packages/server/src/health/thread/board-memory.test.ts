import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BoardMemory } from "./board-memory.ts";
import { startBoardWriter, uniformRecord } from "./testing/board-writer.ts";

describe("the board's memory", () => {
  it("gives back each record that was written, of whatever length", () => {
    const memory = BoardMemory.allocate(64);
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: memory.capacityBytes }), { minLength: 1 }), (records) => {
        for (const record of records) {
          const before = memory.sequence;
          memory.write(record);
          const read = memory.read();
          assert.deepEqual(read?.bytes, record);
          assert.notEqual(read?.sequence, before);
        }
      }),
    );
  });

  it("holds an empty record at first, and refuses one that does not fit without changing anything", () => {
    const memory = BoardMemory.allocate(8);
    assert.deepEqual(memory.read(), { sequence: 0, bytes: new Uint8Array() });
    assert.throws(() => memory.write(new Uint8Array(9)), /the record has 9 bytes, at most 8 fit/);
    assert.equal(memory.sequence, 0);
  });

  it("never shows a torn record to a reader while another thread writes", async (t) => {
    const memory = BoardMemory.allocate(1024);
    const writer = startBoardWriter(memory);
    t.after(() => writer.terminate());
    await once(writer, "message");
    const values = new Set<number | undefined>();
    for (let reads = 0; reads < 20_000 || values.size < 20; reads += 1) {
      const record = memory.read();
      if (record === undefined || record.bytes.length === 0) continue;
      const value = record.bytes[0] ?? 0;
      values.add(value);
      // Not deepEqual on each: it would make the reader slower than the writer.
      const expected = uniformRecord(value, memory.capacityBytes);
      if (Buffer.compare(record.bytes, expected) !== 0) assert.deepEqual(record.bytes, expected);
    }
  });

  it("gives up on a record that is being written all the time", () => {
    const memory = BoardMemory.allocate(8);
    Atomics.store(new Int32Array(memory.buffer), 1, 7);
    assert.equal(memory.read(), undefined);
  });

  it("goes on when the sequence wraps", () => {
    const memory = BoardMemory.allocate(8);
    Atomics.store(new Int32Array(memory.buffer), 1, 2 ** 31 - 2);
    memory.write(Uint8Array.of(1));
    assert.deepEqual(memory.read(), { sequence: -(2 ** 31), bytes: Uint8Array.of(1) });
    memory.write(Uint8Array.of(2));
    assert.deepEqual(memory.read()?.bytes, Uint8Array.of(2));
  });

  it("wakes who waits for a change, and at once who missed it", async () => {
    const memory = BoardMemory.allocate(8);
    const seen = memory.sequence;
    const changed = memory.changed(seen);
    memory.write(Uint8Array.of(1));
    await changed;
    await memory.changed(seen);
  });

  it("counts beats and keeps the time of the last", () => {
    const memory = BoardMemory.allocate(8);
    assert.deepEqual([memory.beats, memory.beatAtMs], [0, 0]);
    memory.beat(1_000_000_000_000.4);
    memory.beat(1_000_000_000_100);
    assert.deepEqual([memory.beats, memory.beatAtMs], [2, 1_000_000_000_100]);
    assert.deepEqual(memory.read()?.sequence, 0);
  });
});
