import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { scheduleTurn } from "./turns.ts";

/** Resolves in the round of the event loop behind the present one. */
const round = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("turns", () => {
  it("are given in the order in which they were asked for, each once", async () => {
    const turns: number[] = [];
    for (let n = 0; n < 5; n += 1) scheduleTurn({ takeTurn: () => turns.push(n) });
    assert.deepEqual(turns, []);
    await round();
    assert.deepEqual(turns, [0, 1, 2, 3, 4]);
    await round();
    assert.equal(turns.length, 5);
  });

  it("that are asked for in a turn come in the next round, so that sockets are read in between", async () => {
    const turns: string[] = [];
    const again = { takeTurn: () => turns.push("again") };
    scheduleTurn({
      takeTurn: () => {
        turns.push("first");
        scheduleTurn(again);
      },
    });
    await round();
    assert.deepEqual(turns, ["first"]);
    await round();
    assert.deepEqual(turns, ["first", "again"]);
  });

  it("are given to the others when one throws and the program goes on", async () => {
    const program = `
      const { parentPort } = require("node:worker_threads");
      const turns = [];
      process.on("uncaughtException", ({ message }) => turns.push(message));
      import(${JSON.stringify(new URL("./turns.ts", import.meta.url).href)}).then(({ scheduleTurn }) => {
        scheduleTurn({ takeTurn: () => turns.push("first") });
        scheduleTurn({ takeTurn: () => { throw new Error("a bug"); } });
        scheduleTurn({ takeTurn: () => { turns.push("last"); parentPort.postMessage(turns); } });
      });`;
    const worker = new Worker(program, { eval: true });
    const turns = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    assert.deepEqual(turns, ["first", "a bug", "last"]);
    await worker.terminate();
  });
});
