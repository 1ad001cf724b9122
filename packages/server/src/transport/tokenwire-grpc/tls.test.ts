import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { credentials, status } from "@grpc/grpc-js";
import { unary } from "../../rpc/service.ts";
import { serve, TextClient, text } from "./testing/rig.ts";
import { selfSigned } from "./testing/self-signed.ts";

const echo = unary<string, string>("Echo", text, text, async (request) => request);

function certificate(t: TestContext) {
  const made = selfSigned();
  t.after(() => made.remove());
  return made;
}

/** A client that trusts this root, with a certificate of its own where one is given. */
function tlsClient(t: TestContext, port: number, root: { cert: string }, own?: { cert: string; key: string }) {
  const pem = (value: string | undefined) => (value === undefined ? null : Buffer.from(value));
  const client = new TextClient(port, credentials.createSsl(pem(root.cert), pem(own?.key), pem(own?.cert)));
  t.after(() => client.close());
  return client;
}

it("answers over TLS, and gives new certificates to new connections only", async (t) => {
  const [first, second] = [certificate(t), certificate(t)];
  const { server, port } = await serve(t, [echo], { tls: { cert: first.cert, key: first.key } });
  const early = tlsClient(t, port, first);
  assert.equal((await early.unary("Echo", "one")).message, "one");
  server.setCertificates({ cert: second.cert, key: second.key });
  assert.equal((await tlsClient(t, port, second).unary("Echo", "two")).message, "two");
  assert.equal((await early.unary("Echo", "three")).message, "three");
  assert.equal((await tlsClient(t, port, first).failure("Echo", "")).code, status.UNAVAILABLE);
  assert.throws(() => server.setCertificates({ cert: "no", key: "PEM" }));
  assert.equal((await tlsClient(t, port, second).unary("Echo", "four")).message, "four");
});

it("takes only clients with a certificate of its authorities", async (t) => {
  const [own, known, unknown] = [certificate(t), certificate(t), certificate(t)];
  const { port } = await serve(t, [echo], { tls: { cert: own.cert, key: own.key, ca: known.cert } });
  assert.equal((await tlsClient(t, port, own, known).unary("Echo", "hello")).message, "hello");
  for (const stranger of [undefined, unknown]) {
    assert.equal((await tlsClient(t, port, own, stranger).failure("Echo", "")).code, status.UNAVAILABLE);
  }
});
