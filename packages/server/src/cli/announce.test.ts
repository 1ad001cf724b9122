import assert from "node:assert/strict";
import { test } from "node:test";
import { Announcer } from "./announce.ts";

function announced(use: (announcer: Announcer) => void): string[] {
  const lines: string[] = [];
  use(new Announcer((line) => lines.push(line)));
  return lines;
}

test("loading is told in quarters, and not at all when it is done at once", () => {
  const shares = [undefined, 0, 0.1, 0.3, 0.31, 0.8, 0.5, 1];
  const lines = announced((announcer) => {
    for (const progress of shares) announcer.engineState({ t: "starting", progress });
    announcer.engineState({ t: "ready" });
  });
  assert.deepEqual(lines, ["loading 25%", "loading 75%"]);
});

test("SERVING is told once, with commands that reach the port", () => {
  const lines = announced((announcer) => {
    announcer.serving({ host: "0.0.0.0", port: 50052 }, 1234);
    announcer.serving({ host: "0.0.0.0", port: 50052 }, 9999);
    announcer.engineState({ t: "starting", progress: 0.5 });
  });
  assert.equal(lines[0], "SERVING after 1.23 s");
  assert.ok(lines.includes("  npx tokenwire probe --addr localhost:50052"));
  assert.ok(lines.includes("  grpcurl -plaintext localhost:50052 list"));
  assert.equal(lines.filter((line) => line.startsWith("SERVING")).length, 1);
});

test("on the usual port the commands need no address", () => {
  const lines = announced((announcer) => announcer.serving({ host: "::", port: 50051 }, 0));
  assert.ok(lines.includes("  npx tokenwire probe"));
  assert.ok(lines.includes("  grpc-health-probe -addr=localhost:50051"));
});

test("an address of its own is written so that it can be used", () => {
  const lines = announced((announcer) => announcer.serving({ host: "fd00::1", port: 1 }, 0));
  assert.ok(lines.includes("  npx tokenwire probe --addr [fd00::1]:1"));
});
