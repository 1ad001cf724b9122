import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../harness/processes.ts";
import { connectconformance, program } from "../harness/tools.ts";
import { serverCommand, serverFile } from "./running-server.ts";

test("connectconformance passes whole: plaintext, TLS, mutual TLS, gzip and a bound on messages", async () => {
  const config = join(import.meta.dirname, "connectconformance.yaml");
  const { code, stdout, stderr } = await run(
    program(connectconformance),
    ["--mode", "server", "--conf", config, "--", ...serverCommand, serverFile("conformance-server.ts")],
    { limitMs: 240_000 },
  );
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout + stderr, /570 passed, 0 failed/);
});
