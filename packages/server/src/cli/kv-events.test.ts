import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Stream, connect } from "node:http2";
import { afterEach, describe, it } from "node:test";
import type { Engine } from "../engine/engine.ts";
import { createMockEngine, type MockControls } from "../engines/mock/mock-engine.ts";
import { KvEventBatch, SubscribeKvEventsRequest } from "../generated/common.ts";
import { createLog } from "../operations/log.ts";
import { createVllmEngineService } from "../services/vllm-engine/index.ts";
import { createRpcServer, type TokenwireRpcServer } from "../transport/tokenwire-grpc/rpc-server.ts";

describe("SubscribeKvEvents over the wire", () => {
  const cleanUps: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  async function start(): Promise<{
    engine: Engine & MockControls;
    rpc: TokenwireRpcServer;
    stream: ClientHttp2Stream;
  }> {
    const log = createLog("silent");
    const engine = createMockEngine({ stepIntervalMs: "manual" });
    const rpc = createRpcServer({ log, closeGraceMs: 100 });
    rpc.register(
      createVllmEngineService({
        engine,
        servedModelName: "served",
        version: "1",
        log,
        startedAtMs: Date.now(),
        now: Date.now,
        health: async () => ({ outcome: "healthy", message: "", trailers: {} }),
        logStats: false,
      }),
    );
    await engine.start();
    const { port } = await rpc.listen({ host: "127.0.0.1", port: 0 });
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", () => undefined);
    cleanUps.push(
      () => engine.close(0),
      () => rpc.close("the test is over"),
      () => session.destroy(),
    );
    const stream = session.request({
      ":method": "POST",
      ":path": "/vllm.grpc.engine.VllmEngine/SubscribeKvEvents",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => undefined);
    const bytes = SubscribeKvEventsRequest.encode(SubscribeKvEventsRequest.create({})).finish();
    stream.end(framed(bytes));
    return { engine, rpc, stream };
  }

  it("sends headers before there is anything to say", async () => {
    const { stream } = await start();
    const [headers] = await once(stream, "response");
    assert.equal(headers[":status"], 200);
    assert.equal(headers["grpc-status"], undefined);
  });

  it("holds no backlog for a client that does not read, and brings it to the present when it does", async () => {
    const { engine, stream } = await start();
    await once(stream, "response");
    const told = 30_000;
    for (let i = 1; i <= told; i++) {
      const tokenIds = Array.from({ length: 64 }, (_, j) => i + j);
      const stored = { t: "stored", parentHash: undefined, blocks: [{ hash: BigInt(i), tokenIds }] } as const;
      engine.tellKvEvents(i === 1 ? [stored] : [{ t: "removed", hashes: [BigInt(i - 1)] }, stored]);
    }
    const held = new Set<bigint>();
    let received = 0;
    let snapshots = 0;
    for await (const batch of batches(stream)) {
      received += 1;
      if (batch.snapshot !== undefined) snapshots += 1;
      for (const { data } of batch.events) {
        if (data?.$case === "cleared") held.clear();
        if (data?.$case === "stored") for (const { blockHash } of data.value.blocks) held.add(blockHash);
        if (data?.$case === "removed") for (const hash of data.value.blockHashes) held.delete(hash);
      }
      if (held.has(BigInt(told))) break;
    }
    assert.deepEqual([...held], [BigInt(told)]);
    assert.equal(snapshots, 1);
    assert.ok(received < told / 10, `${received} messages had been written for a client that did not read`);
  });

  it("is not waited for by a drain, and ends UNAVAILABLE with the server", async () => {
    const { rpc, stream } = await start();
    await once(stream, "response");
    rpc.refuseNewCalls("draining");
    await rpc.idle();
    const trailers = once(stream, "trailers");
    stream.resume();
    await rpc.close("the server stops");
    assert.equal((await trailers)[0]["grpc-status"], "14");
  });
});

function framed(bytes: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

async function* batches(stream: ClientHttp2Stream): AsyncGenerator<KvEventBatch> {
  let buffered = Buffer.alloc(0);
  for await (const chunk of stream) {
    buffered = Buffer.concat([buffered, chunk as Buffer]);
    while (buffered.length >= 5 && buffered.length >= 5 + buffered.readUInt32BE(1)) {
      const end = 5 + buffered.readUInt32BE(1);
      yield KvEventBatch.decode(buffered.subarray(5, end));
      buffered = buffered.subarray(end);
    }
  }
}
