import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusTable } from "@tokenwire/health";
import { BoardMemory } from "./board-memory.ts";
import { type Annotation, type BoardState, decodeBoardState } from "./board-state.ts";
import { StatusBoard } from "./status-board.ts";

interface Rig {
  readonly table: StatusTable;
  readonly memory: BoardMemory;
  readonly board: StatusBoard;
  readonly overflows: number[];
  read(): BoardState | undefined;
  names(): string[];
}

function rig(annotate?: (service: string) => Annotation | undefined, capacityBytes = 16_384): Rig {
  const table = new StatusTable({ onListenerError: (error) => assert.fail(String(error)) });
  const memory = BoardMemory.allocate(capacityBytes);
  const overflows: number[] = [];
  const onOverflow = (left: number): void => void overflows.push(left);
  const board = new StatusBoard({ table, memory, annotate, essential: ["", "kept"], onOverflow });
  const read = (): BoardState | undefined => decodeBoardState(memory.read()?.bytes ?? new Uint8Array());
  return { table, memory, board, overflows, read, names: () => (read()?.entries ?? []).map((entry) => entry.service) };
}

describe("the status board", () => {
  it("shows the table as it is from the beginning", () => {
    const { read } = rig();
    assert.deepEqual(read(), { isShutDown: false, entries: [{ service: "", status: "NOT_SERVING" }] });
  });

  it("follows registrations, changes, their ends and the latch in the same turn", () => {
    const { table, read, names } = rig();
    table.set("é\n", "SERVING");
    assert.deepEqual(read()?.entries[1], { service: "é\n", status: "SERVING" });
    table.set("é\n", "NOT_SERVING");
    assert.deepEqual(read()?.entries[1], { service: "é\n", status: "NOT_SERVING" });
    table.clear("é\n");
    assert.deepEqual(names(), [""]);
    table.shutdown();
    assert.equal(read()?.isShutDown, true);
    table.resume();
    assert.equal(read()?.isShutDown, false);
  });

  it("writes nothing when there is no news", () => {
    const { table, memory, board } = rig();
    table.set("a", "SERVING");
    const before = memory.sequence;
    table.set("a", "SERVING");
    board.publish();
    assert.equal(memory.sequence, before);
  });

  it("takes a new reason when it is asked to look, and bounds it", () => {
    let reason = "starting";
    const { board, read } = rig(() => ({ reason }));
    reason = "x".repeat(2_000);
    board.publish();
    assert.deepEqual(read()?.entries[0]?.annotation, { reason: "x".repeat(1_024) });
  });

  it("keeps the essential names when not everything fits, and tells it once", () => {
    const { table, names, overflows } = rig(undefined, 400);
    table.set("kept", "SERVING");
    for (let n = 0; n < 20; n += 1) table.set(`service-${n}`, "SERVING");
    assert.deepEqual(names(), ["", "kept"]);
    assert.equal(overflows.length, 1);
    for (let n = 0; n < 20; n += 1) table.clear(`service-${n}`);
    table.set("small", "SERVING");
    assert.deepEqual(names(), ["", "kept", "small"]);
  });

  it("gives up the reasons before the essential names", () => {
    const { table, read, overflows } = rig((service) => ({ reason: "x".repeat(service === "kept" ? 400 : 1) }), 400);
    table.set("kept", "SERVING");
    assert.deepEqual(read()?.entries, [
      { service: "", status: "NOT_SERVING" },
      { service: "kept", status: "SERVING" },
    ]);
    assert.deepEqual(overflows, [0]);
  });

  it("follows the table no longer once it is stopped", () => {
    const { table, board, names } = rig();
    board.stop();
    table.set("a", "SERVING");
    assert.deepEqual(names(), [""]);
  });
});
