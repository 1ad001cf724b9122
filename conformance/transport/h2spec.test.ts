import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { run } from "../harness/processes.ts";
import { h2spec, program } from "../harness/tools.ts";
import { type RunningServer, startTransportServer } from "./running-server.ts";

let server: RunningServer;
before(async () => {
  server = await startTransportServer();
});
after(() => server?.stop());

test("h2spec finds nothing wrong, strict cases included", async () => {
  const { code, stdout, stderr } = await run(program(h2spec), [
    "-S",
    "-h",
    "127.0.0.1",
    "-p",
    String(server.port),
    "-o",
    "5",
  ]);
  assert.equal(code, 0, `${stdout.slice(stdout.indexOf("Failures:"))}${stderr}`);
  assert.match(stdout, /146 tests, 146 passed, 0 skipped, 0 failed/);
});
