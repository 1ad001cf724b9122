import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { recordingLog } from "../transport/tokenwire-grpc/testing/rig.ts";
import { selfSigned } from "../transport/tokenwire-grpc/testing/self-signed.ts";
import { runTokenwire, startTokenwire } from "./testing/run-tokenwire.ts";
import { readTlsFiles, watchTlsFiles } from "./tls-files.ts";

function certificate(t: TestContext) {
  const made = selfSigned();
  t.after(() => made.remove());
  return made;
}

test("files that cannot be used are refused with a sentence that names flag and file", (t) => {
  const [one, other] = [certificate(t), certificate(t)];
  const paths = { certPath: one.certPath, keyPath: one.keyPath, clientCaPath: other.certPath };
  assert.deepEqual(readTlsFiles(paths), { cert: one.cert, key: one.key, ca: other.cert });
  assert.deepEqual(readTlsFiles({ ...paths, clientCaPath: undefined }), { cert: one.cert, key: one.key });
  const refused = (changed: Partial<typeof paths>, message: RegExp): void =>
    assert.throws(() => readTlsFiles({ ...paths, ...changed }), { name: "UsageError", message });
  refused({ certPath: "/nowhere/c.pem" }, /^--tls-cert: \/nowhere\/c\.pem cannot be read: ENOENT/);
  refused({ certPath: one.keyPath }, /^--tls-cert: .+key\.pem is no PEM file with a certificate\.$/);
  refused({ keyPath: one.certPath }, /^--tls-key: .+cert\.pem is no PEM file with a private key/);
  refused({ keyPath: other.keyPath }, /^--tls-key: .+ is not the key of the certificate in .+cert\.pem\.$/);
  refused({ clientCaPath: other.keyPath }, /^--tls-client-ca: .+ is no PEM file with a certificate\.$/);
});

test("content that has changed is handed on when it is good, and told once when it is not", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const [one, other] = [certificate(t), certificate(t)];
  const paths = { certPath: one.certPath, keyPath: one.keyPath, clientCaPath: undefined };
  const used: unknown[] = [];
  const { log, lines } = recordingLog();
  const stop = watchTlsFiles(paths, readTlsFiles(paths), (credentials) => used.push(credentials), log, 10);
  t.mock.timers.tick(30);
  assert.deepEqual([used, lines], [[], []]);
  copyFileSync(other.certPath, one.certPath);
  t.mock.timers.tick(30);
  assert.deepEqual(
    lines.map(({ level, reason }) => [level, reason]),
    [["error", "tls-not-reloaded"]],
  );
  copyFileSync(other.keyPath, one.keyPath);
  t.mock.timers.tick(30);
  assert.deepEqual(used, [{ cert: other.cert, key: other.key }]);
  assert.equal(lines.at(-1)?.reason, "tls-reloaded");
  stop();
  writeFileSync(one.certPath, "gone");
  t.mock.timers.tick(30);
  assert.equal(lines.length, 2);
});

test("a server with mutual TLS answers clients with a certificate, and is probed through its health port", async (t) => {
  const { certPath, keyPath } = certificate(t);
  const tls = ["--tls-cert", certPath, "--tls-key", keyPath, "--tls-client-ca", certPath];
  const network = ["--host", "127.0.0.1", "--port", "0", "--health-port", "0"];
  const running = startTokenwire(["serve", "--engine", "mock", "--withdrawal-grace", "0", ...network, ...tls]);
  let out = "";
  running.child.stdout.on("data", (piece: string) => {
    out += piece;
  });
  await running.printed("out", "Ctrl-C");
  const address = /listening on (\S+), gRPC with TLS, for clients with a certificate\n/.exec(out)?.[1] ?? "";
  const health = /health on (\S+)\n/.exec(out)?.[1] ?? "";
  const serving = { exitCode: 0, out: "status: SERVING\n", error: "" };
  assert.deepEqual(await runTokenwire(["probe", "--addr", health, "--service", "readiness"]), serving);
  const over = ["probe", "--addr", address, "--tls", "--tls-ca-cert", certPath];
  const own = ["--tls-client-cert", certPath, "--tls-client-key", keyPath];
  assert.deepEqual(await runTokenwire([...over, ...own]), serving);
  assert.notEqual((await runTokenwire(over)).exitCode, 0);
  assert.equal((await runTokenwire(["probe", "--addr", address])).exitCode, 2);
  running.child.kill("SIGTERM");
  assert.equal((await running.finished).exitCode, 0);
});
