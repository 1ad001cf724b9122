import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { run } from "../harness/processes.ts";
import { grpcGoReader, grpcio, program, tonicReader } from "../harness/tools.ts";
import { type CountingServer, startCountingServer } from "../transport/running-server.ts";

const streams = 32;
const messages = 20_000;
/** Streams that the reader takes back at a message of its choice, besides the others. */
const cancelled = 16;

const readers: Readonly<Record<string, readonly string[]>> = {
  "grpc-go": [program(grpcGoReader)],
  tonic: [program(tonicReader)],
  "grpc-js": [process.execPath, join(import.meta.dirname, "grpc-js-reader.ts")],
  grpcio: [program(grpcio, "python"), join(import.meta.dirname, "grpcio_reader.py")],
};

/** A run is repeated with `CONTENT_SEED` in the environment. */
const seed = Number(process.env.CONTENT_SEED ?? Math.floor(Math.random() * 1_000_000));

let server: CountingServer;
before(async () => {
  server = await startCountingServer();
});
after(() => server?.stop());

describe("a slow reader of 32 streams of 20,000 messages, with windows, pauses and cancels by chance", () => {
  for (const [name, [command = "", ...args]] of Object.entries(readers)) {
    test(`${name} loses nothing, gets nothing twice, and leaves nothing behind`, async (t) => {
      t.diagnostic(`seed ${seed}`);
      const earlier = await server.report();
      const asked = [`127.0.0.1:${server.port}`, seed, streams, messages, cancelled].map(String);
      const { code, stdout, stderr } = await run(command, [...args, ...asked], { limitMs: 240_000 });
      assert.equal(code, 0, stderr);
      const { messages: right, wrong } = JSON.parse(stdout);
      assert.deepEqual(wrong.slice(0, 5), []);
      assert.ok(right > streams * messages, `${right} messages were right`);

      const report = await server.until(
        ({ connections, activeCalls }) => connections === 0 && activeCalls === 0,
        `${name} left something with the server`,
      );
      assert.equal(report.begun - earlier.begun, streams + cancelled);
      assert.equal(report.returned, report.begun);
      assert.ok(report.cut - earlier.cut <= cancelled);
      assert.ok(report.waits > earlier.waits, "the server never waited for the reader");
      assert.deepEqual(report.failures, []);
      t.diagnostic(`${right} messages; the server waited ${report.waits - earlier.waits} times`);
    });
  }
});
