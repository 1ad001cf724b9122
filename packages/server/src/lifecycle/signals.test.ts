import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { createLog } from "../operations/log.ts";
import { installSignalHandlers } from "./signals.ts";

function rig() {
  const asked: string[] = [];
  const source = new EventEmitter();
  const server = {
    shutdown: async (reason: string) => void asked.push(reason),
    hurry: () => void asked.push("hurry"),
  };
  const uninstall = installSignalHandlers(server, createLog("silent"), source);
  return { asked, source, uninstall };
}

describe("signals", () => {
  for (const signal of ["SIGTERM", "SIGINT"]) {
    it(`${signal} shuts the server down and names itself`, () => {
      const { asked, source } = rig();
      source.emit(signal);
      assert.deepEqual(asked, [`received ${signal}`]);
    });
  }

  it("a second one hurries, whichever it is", () => {
    const { asked, source } = rig();
    source.emit("SIGTERM");
    source.emit("SIGINT");
    source.emit("SIGTERM");
    assert.deepEqual(asked, ["received SIGTERM", "hurry", "hurry"]);
  });

  it("are let go again", () => {
    const { asked, source, uninstall } = rig();
    uninstall();
    assert.deepEqual([source.emit("SIGTERM"), source.emit("SIGINT"), asked], [false, false, []]);
  });

  it("of the process itself are taken, and given back", () => {
    const before = process.listenerCount("SIGTERM");
    const uninstall = installSignalHandlers(
      { shutdown: async () => undefined, hurry: () => undefined },
      createLog("silent"),
    );
    assert.equal(process.listenerCount("SIGTERM"), before + 1);
    uninstall();
    assert.equal(process.listenerCount("SIGTERM"), before);
  });
});
