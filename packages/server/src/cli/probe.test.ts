import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { createHealthService, StatusTable } from "@tokenwire/health";
import { createLog } from "../operations/log.ts";
import type { RpcServer } from "../rpc/server.ts";
import { createRpcServer } from "../transport/tokenwire-grpc/rpc-server.ts";
import { runTokenwire } from "./testing/run-tokenwire.ts";

const table = new StatusTable();
const asked: string[] = [];
let server: RpcServer;
let address: string;

before(async () => {
  server = createRpcServer({ log: createLog("silent") });
  const stuck = async (service: string): Promise<void> => {
    asked.push(service);
    if (service === "stuck") await new Promise(() => {});
  };
  server.register(createHealthService(table, { beforeCheck: stuck }));
  address = `127.0.0.1:${(await server.listen({ host: "127.0.0.1", port: 0 })).port}`;
});

after(() => server.close("the test is over"));

const probe = (...words: string[]): ReturnType<typeof runTokenwire> =>
  runTokenwire(["probe", "--addr", address, ...words]);

test("a server that is SERVING is exit code 0", async () => {
  table.set("", "SERVING");
  assert.deepEqual(await probe(), { exitCode: 0, out: "status: SERVING\n", error: "" });
  table.set("readiness", "SERVING");
  assert.equal((await probe("--service", "readiness")).exitCode, 0);
  assert.deepEqual(asked.slice(-2), ["", "readiness"]);
});

test("a server that is NOT_SERVING is exit code 4", async () => {
  table.set("", "NOT_SERVING");
  assert.deepEqual(await probe(), {
    exitCode: 4,
    out: "",
    error: 'service unhealthy (responded with "NOT_SERVING")\n',
  });
});

test("an unknown service and an answer that does not come are exit code 3", async () => {
  const unknown = await probe("--service", "nobody");
  assert.equal(unknown.exitCode, 3);
  assert.match(unknown.error, /^error: health rpc failed: code 5: .*nobody/);
  const late = await probe("--service", "stuck", "--rpc-timeout", "50ms");
  assert.deepEqual([late.exitCode, late.error], [3, "timeout: health rpc did not complete within 50 ms\n"]);
});

test("a port where nobody listens, and a listener that is no HTTP/2 server, are exit code 2", async () => {
  const silent = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const bound = silent.address();
  assert.ok(bound !== null && typeof bound === "object");
  const here = `127.0.0.1:${bound.port}`;
  const mute = await runTokenwire(["probe", "--addr", here, "--connect-timeout", "50ms"]);
  assert.deepEqual([mute.exitCode, mute.error], [2, `timeout: failed to connect service "${here}" within 50 ms\n`]);
  silent.close();
  await once(silent, "close");
  const refused = await runTokenwire(["probe", "--addr", here]);
  assert.equal(refused.exitCode, 2);
  assert.match(refused.error, /^error: failed to connect service at "127\.0\.0\.1:\d+": .*ECONNREFUSED/);
});

test("wrong arguments are exit code 1, and nothing is asked", async () => {
  const before = asked.length;
  for (const words of [
    ["--addr", "nowhere"],
    ["--rpc-timeout", "0s"],
    ["--nonsense"],
    ["extra"],
    ["--tls", "--tls-ca-cert", "/no/such/file"],
    ["--service", "x".repeat(2000)],
  ]) {
    const { exitCode, error } = await probe(...words);
    assert.equal(exitCode, 1, words.join(" "));
    assert.match(error, /^error: .+\n$/);
    assert.equal(error.split("\n").length, 2);
  }
  assert.equal(asked.length, before);
});

test("TLS to a plaintext server is exit code 2", async () => {
  assert.equal((await probe("--tls", "--tls-no-verify")).exitCode, 2);
});

test("probe loads neither the logger, nor the gRPC library, nor the parser of the other commands", async () => {
  table.set("", "SERVING");
  const trace =
    "data:text/javascript,import{registerHooks}from'node:module';registerHooks({load(u,c,n){process.stderr.write(u+'\\n');return n(u,c)}})";
  const { exitCode, error } = await runTokenwire(["probe", "--addr", address], { nodeFlags: ["--import", trace] });
  assert.equal(exitCode, 0);
  assert.match(error, /cli\/probe\.ts/);
  assert.doesNotMatch(error, /grpc-js|pino|generated|fflate|commander|status-table/);
});
