import assert from "node:assert/strict";
import { it } from "node:test";
import { encodeIdentity } from "../protocol/handshake.ts";
import { decodeMessagePack } from "../protocol/msgpack/reader.ts";
import { encodeMessagePack } from "../protocol/msgpack/writer.ts";
import { connectDealer } from "../testing/zeromq-sockets.ts";
import { advertised } from "./addresses.ts";
import { createEngineCoreClient } from "./create-client.ts";

it("engines are told an address that they can connect to", () => {
  const cases: readonly (readonly [string, string | undefined, string | undefined, string])[] = [
    ["ipc:///run/in", "host", "10.0.0.1", "ipc:///run/in"],
    ["tcp://10.0.0.5:7", undefined, "10.0.0.1", "tcp://10.0.0.5:7"],
    ["tcp://10.0.0.5:7", "gpu.example", "10.0.0.1", "tcp://gpu.example:7"],
    ["tcp://0.0.0.0:7", undefined, "10.0.0.1", "tcp://10.0.0.1:7"],
    ["tcp://[::]:7", undefined, "::ffff:10.0.0.1", "tcp://10.0.0.1:7"],
    ["tcp://[::]:7", undefined, "fd00::1", "tcp://[fd00::1]:7"],
    ["tcp://0.0.0.0:7", undefined, undefined, "tcp://127.0.0.1:7"],
  ];
  for (const [address, host, cameAt, told] of cases) assert.equal(advertised(address, host, cameAt), told);
});

it("a client that listens on every address tells an engine the one at which it came", async () => {
  const ignore = (): void => undefined;
  const options = { onOutputs: ignore, onDeath: ignore, onBadFrame: ignore };
  const client = await createEngineCoreClient({ ...options, handshakeAddress: "tcp://0.0.0.0:*" });
  const port = client.addresses.handshake.split(":").at(-1);
  const init = Promise.withResolvers<unknown>();
  const engine = await connectDealer(`tcp://127.0.0.1:${port}`, encodeIdentity(0), ([body]) => {
    init.resolve(decodeMessagePack(body ?? new Uint8Array()));
  });
  engine.send([encodeMessagePack({ status: "HELLO" })]);
  const addresses = await init.promise.then((told) => (told instanceof Map ? told.get("addresses") : undefined));
  assert.ok(addresses instanceof Map);
  assert.deepEqual(addresses.get("inputs"), [client.addresses.input.replace("0.0.0.0", "127.0.0.1")]);
  assert.deepEqual(addresses.get("outputs"), [client.addresses.output.replace("0.0.0.0", "127.0.0.1")]);
  engine.close();
  await client.close();
});
