import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeIdentity } from "../protocol/handshake.ts";
import { decodeMessagePack } from "../protocol/msgpack/reader.ts";
import { encodeMessagePack } from "../protocol/msgpack/writer.ts";
import { connectDealer } from "../testing/zeromq-sockets.ts";
import { FrontEnd, isFault } from "./testing/front-end.ts";
import { UtilityCalls } from "./utility-calls.ts";

describe("an engine whose connection broke", () => {
  it("is dead at once, and back when it reads its input again, with what it still has taken back", async () => {
    await using frontEnd = await FrontEnd.ready({ ready: { max_model_len: 100_000 }, stepMs: 5 });
    const [engine] = frontEnd.engines;
    assert.ok(engine !== undefined);
    frontEnd.client.add(0, { requestId: "lost", promptTokenIds: [1], samplingParams: { max_tokens: 90_000 } });
    await frontEnd.first("lost");
    engine.goDeaf();
    assert.deepEqual(await frontEnd.death(), [0, "input-lost"]);
    assert.throws(() => frontEnd.client.add(0, { requestId: "a", promptTokenIds: [1] }), isFault("dead"));

    const aborted = Promise.withResolvers<unknown>();
    const again = await connectDealer(frontEnd.client.addresses.input, encodeIdentity(0), ([type, body]) => {
      if (type?.[0] === 1 && body !== undefined) aborted.resolve(decodeMessagePack(body));
    });
    const facts = await frontEnd.returned();
    assert.equal(facts.maxModelLenTokens, 100_000);
    assert.equal(frontEnd.client.engines[0]?.t, "ready");
    assert.deepEqual(await aborted.promise, ["lost"]);
    again.close();
  });

  it("does not come back when it said that it is dead", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.engines[0]?.die();
    assert.deepEqual(await frontEnd.death(), [0, "said-so"]);
    const late = await connectDealer(frontEnd.client.addresses.input, encodeIdentity(0), () => undefined);
    // No ready response, but it shows that the connection has been seen.
    late.send([Uint8Array.of(0xc0)]);
    await frontEnd.badFrame();
    assert.equal(frontEnd.client.engines[0]?.t, "dead");
    late.close();
  });
});

describe("an engine that was remembered", () => {
  it("and was started again meanwhile is ready with its new facts, not with the old ones", async () => {
    await using old = await FrontEnd.ready({ ready: { max_model_len: 1_000 } });
    const resume = old.client.remember();
    old.engines[0]?.close();
    await old.client.close();
    await using next = await FrontEnd.open({ resume });
    await next.engine({ ready: { max_model_len: 2_000 } });
    assert.equal((await next.client.ready())[0]?.maxModelLenTokens, 2_000);
    assert.equal(next.client.remember().engines[0]?.maxModelLenTokens, 2_000);
  });
});

describe("outputs that cannot be read", () => {
  it("are told with the engine whose requests may miss tokens", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.engines[0]?.sendRaw([encodeMessagePack([0, "x"])]);
    const { fault } = await frontEnd.badFrame();
    assert.deepEqual(fault, { kind: "bad-frame", lostOutputsOf: 0 });
  });
});

describe("an answer to a call", () => {
  it("of an earlier client is not taken for one of ours", () => {
    const ids = Array.from({ length: 3 }, () => new UtilityCalls().begin(0, "is_sleeping", undefined).id);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.every((id) => Number.isSafeInteger(id) && id > 0));
  });
});
