import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EngineCoreError } from "../engine-core-error.ts";
import { encodeIdentity } from "../protocol/handshake.ts";
import { encodeMessagePack } from "../protocol/msgpack/writer.ts";
import { connectDealer } from "../testing/zeromq-sockets.ts";
import { createEngineCoreClient } from "./create-client.ts";
import { FrontEnd, isFault } from "./testing/front-end.ts";

describe("an engine that starts", () => {
  it("is ready with what it said of itself", async () => {
    await using frontEnd = await FrontEnd.open();
    assert.deepEqual(frontEnd.client.engines, [{ t: "waiting" }]);
    const engine = await frontEnd.engine({
      ready: { max_model_len: 512, supports_lora: true, new_key: [1, { a: null }] },
    });
    const [facts] = await frontEnd.client.ready();
    assert.equal(facts?.maxModelLenTokens, 512);
    assert.equal(facts?.vllmVersion, "0.32.0");
    assert.equal(facts?.supportsLora, true);
    assert.deepEqual(facts?.all.new_key, [1, { a: null }]);
    assert.deepEqual(engine.addresses, {
      input: frontEnd.client.addresses.input,
      output: frontEnd.client.addresses.output,
    });
  });

  it("is waited for until the signal says otherwise", async () => {
    await using frontEnd = await FrontEnd.open();
    const giveUp = new AbortController();
    const waiting = frontEnd.client.ready(giveUp.signal);
    giveUp.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    assert.throws(() => frontEnd.client.add(0, { requestId: "a", promptTokenIds: [1] }), isFault("not-ready"));
    await assert.rejects(frontEnd.client.call(0, "is_sleeping"), isFault("not-ready"));
  });

  it("of a rank that nobody expects is told and does no harm", async () => {
    await using frontEnd = await FrontEnd.open();
    const handshake = frontEnd.client.addresses.handshake;
    const stranger = await connectDealer(handshake, encodeIdentity(7), () => undefined);
    stranger.send([encodeMessagePack({ status: "HELLO" })]);
    assert.match((await frontEnd.badFrame()).message, /rank 7 came, and ranks 0 to 0/);
    stranger.close();
    await frontEnd.engine();
    await frontEnd.client.ready();
  });

  it("cannot be waited for where the address is taken, and nothing stays open", async () => {
    await using frontEnd = await FrontEnd.open();
    const again = createEngineCoreClient({
      handshakeAddress: frontEnd.client.addresses.handshake,
      onOutputs: () => undefined,
      onDeath: () => undefined,
      onBadFrame: () => undefined,
    });
    await assert.rejects(again, isFault("cannot-bind"));
  });
});

describe("a request", () => {
  it("comes back token by token, in messages of a step, and ends", async () => {
    await using frontEnd = await FrontEnd.ready({ tokenAt: (_request, position) => 10 + position });
    frontEnd.client.add(0, { requestId: "a", promptTokenIds: [1, 2], samplingParams: { max_tokens: 3 } });
    const outputs = await frontEnd.whole("a");
    assert.deepEqual(
      outputs.flatMap(({ newTokenIds }) => newTokenIds),
      [10, 11, 12],
    );
    assert.deepEqual(outputs[0]?.prefillStats, { promptTokens: 2, cachedTokens: 0 });
    assert.deepEqual(
      outputs.map(({ finishReason }) => finishReason),
      [undefined, undefined, "length"],
    );
  });

  it("reaches the engine with every field that was given", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.client.add(0, {
      requestId: "a",
      promptTokenIds: Uint32Array.of(1, 70_000, 2 ** 32 - 1),
      samplingParams: { temperature: 0.5, stop_token_ids: [5], logit_bias: new Map([[7, -1.5]]), seed: -1 },
      priority: -3,
      traceHeaders: { traceparent: "00-1" },
    });
    await frontEnd.whole("a");
    const [request] = frontEnd.engines[0]?.requests ?? [];
    assert.deepEqual(request?.promptTokenIds, [1, 70_000, 2 ** 32 - 1]);
    const params = request?.samplingParams;
    assert.deepEqual([params?.get("temperature"), params?.get("seed"), params?.get("stop_token_ids")], [0.5, -1, [5]]);
    assert.deepEqual(params?.get("logit_bias"), new Map([[7, -1.5]]));
    assert.deepEqual([request?.priority, request?.traceHeaders], [-3, new Map([["traceparent", "00-1"]])]);
    assert.equal(request?.places.length, 15);
  });

  it("that is taken back leaves the engine, which says nothing of it any more", async () => {
    await using frontEnd = await FrontEnd.ready({ ready: { max_model_len: 100_000 } });
    frontEnd.client.add(0, { requestId: "a", promptTokenIds: [1], samplingParams: { max_tokens: 90_000 } });
    await frontEnd.first("a");
    frontEnd.client.abort(0, ["a"]);
    await frontEnd.client.call(0, "is_sleeping");
    assert.deepEqual(frontEnd.engines[0]?.aborted, ["a"]);
    assert.equal(frontEnd.engines[0]?.runningRequests, 0);
    assert.ok(frontEnd.outputsOf("a").every(({ finishReason }) => finishReason === undefined));
  });
});

describe("a utility call", () => {
  it("resolves with the result, and rejects with the engine's own words", async () => {
    await using frontEnd = await FrontEnd.ready({ utilities: { echo: (args) => [...args] as never } });
    assert.deepEqual(await frontEnd.client.call(0, "get_supported_tasks"), ["generate"]);
    assert.equal(await frontEnd.client.call(0, "reset_mm_cache"), null);
    assert.deepEqual(await frontEnd.client.call(0, "echo", ["check_health", null, [], {}]), [
      "check_health",
      null,
      [],
      new Map(),
    ]);
    await assert.rejects(frontEnd.client.call(0, "no_such_method"), (thrown) => {
      assert.ok(isFault("call-failed")(thrown));
      return /no attribute 'no_such_method'/.test(String(thrown));
    });
  });

  it("waits as long as a hung engine is silent, and is answered when it goes on", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.engines[0]?.hang();
    const forgotten = new AbortController();
    const first = frontEnd.client.call(0, "is_sleeping", [], forgotten.signal);
    const second = frontEnd.client.call(0, "is_sleeping");
    forgotten.abort(new Error("too long"));
    await assert.rejects(first, /too long/);
    frontEnd.engines[0]?.resume();
    assert.equal(await second, false);
  });
});

describe("an engine that dies", () => {
  it("by its own word ends its calls and takes nothing more", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.engines[0]?.hang();
    const call = frontEnd.client.call(0, "is_sleeping");
    frontEnd.engines[0]?.die();
    await assert.rejects(call, isFault("dead"));
    assert.deepEqual(await frontEnd.death(), [0, "said-so"]);
    assert.throws(() => frontEnd.client.add(0, { requestId: "a", promptTokenIds: [1] }), isFault("dead"));
    frontEnd.client.abort(0, ["a"]);
  });

  it("without a word is noticed by its connection", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.engines[0]?.close();
    assert.deepEqual(await frontEnd.death(), [0, "input-lost"]);
  });

  it("by going deaf is noticed although it still answers", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.engines[0]?.goDeaf();
    assert.deepEqual(await frontEnd.death(), [0, "input-lost"]);
  });

  it("is dead once, whoever tells it", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.client.tellDead(0, "the process ended with code 1");
    frontEnd.client.tellDead(0, "again");
    frontEnd.engines[0]?.close();
    assert.deepEqual(await frontEnd.death(), [0, "told"]);
    assert.equal(frontEnd.deaths.length, 1);
    assert.deepEqual(frontEnd.client.engines, [{ t: "dead", cause: "told" }]);
  });

  it("may be replaced by another process of the same rank", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.engines[0]?.close();
    await frontEnd.death();
    await frontEnd.engine({ ready: { max_model_len: 77 } });
    assert.equal((await frontEnd.returned()).maxModelLenTokens, 77);
    frontEnd.client.add(0, { requestId: "b", promptTokenIds: [1] });
    await frontEnd.whole("b");
  });
});

describe("two engines", () => {
  it("are told apart, and one outlives the other", async () => {
    await using frontEnd = await FrontEnd.open({ engineCount: 2 });
    const first = await frontEnd.engine({ engineIndex: 0 });
    const second = await frontEnd.engine({ engineIndex: 1 });
    const facts = await frontEnd.client.ready();
    assert.deepEqual(
      facts.map(({ engineIndex }) => engineIndex),
      [0, 1],
    );
    frontEnd.client.add(1, { requestId: "b", promptTokenIds: [1] });
    await frontEnd.whole("b");
    assert.deepEqual([first.requests.length, second.requests.length], [0, 1]);
    // The notice does not say whose it is.
    second.die();
    assert.deepEqual((await frontEnd.death())[0], 1);
    frontEnd.client.add(0, { requestId: "a", promptTokenIds: [1] });
    await frontEnd.whole("a");
    assert.throws(() => frontEnd.client.add(1, { requestId: "c", promptTokenIds: [1] }), isFault("dead"));
  });
});

describe("another front end", () => {
  it("takes over a running engine without a handshake, and takes back what was left behind", async () => {
    await using old = await FrontEnd.ready({ ready: { max_model_len: 100_000 }, stepMs: 1 });
    const [engine] = old.engines;
    old.client.add(0, { requestId: "old-1", promptTokenIds: [1], samplingParams: { max_tokens: 90_000 } });
    await old.first("old-1");
    const remembered = JSON.parse(JSON.stringify(old.client.remember()));
    await old.client.close();

    await using next = await FrontEnd.open({ resume: remembered });
    const [facts] = await next.client.ready();
    assert.equal(facts?.maxModelLenTokens, 100_000);
    assert.deepEqual(next.client.addresses.input, remembered.inputAddress);
    next.client.add(0, { requestId: "new-1", promptTokenIds: [1], samplingParams: { max_tokens: 50 } });
    await next.whole("new-1");
    // What was sent before an answered call has arrived.
    await next.client.call(0, "is_sleeping");
    assert.deepEqual(engine?.aborted, ["old-1"]);
    assert.equal(engine?.requests.length, 2);
  });
});

describe("bytes that are no message", () => {
  it("are told with what is wrong, and the engine goes on", async () => {
    await using frontEnd = await FrontEnd.ready();
    const [engine] = frontEnd.engines;
    const wrong: readonly (readonly [Uint8Array, RegExp])[] = [
      [Uint8Array.of(), /ends after 0 bytes/],
      [Uint8Array.of(0xc0), /EngineCoreOutputs is not an array/],
      [encodeMessagePack([0, "x"]), /outputs is not an array/],
      [encodeMessagePack([0, [["a", [1], null, null, null, 99]]]), /finish_reason is 99/],
      [encodeMessagePack([0, [["a", [1], [["<i4", [1, 2], 5]]]]]), /frame that did not come|places, not 3/],
      [Buffer.concat([encodeMessagePack([0, [], null, 1, null]), Buffer.of(1)]), /bytes follow/],
    ];
    for (const [bytes, message] of wrong) {
      engine?.sendRaw([bytes]);
      assert.match((await frontEnd.badFrame()).message, message);
    }
    frontEnd.client.add(0, { requestId: "a", promptTokenIds: [1] });
    await frontEnd.whole("a");
    assert.deepEqual(frontEnd.deaths, []);
  });
});

describe("a client that is closed", () => {
  it("ends its calls, refuses more, and leaves the engine alive", async () => {
    await using frontEnd = await FrontEnd.ready();
    frontEnd.engines[0]?.hang();
    const call = frontEnd.client.call(0, "is_sleeping");
    await frontEnd.client.close();
    await frontEnd.client.close();
    await assert.rejects(call, isFault("closed"));
    assert.throws(() => frontEnd.client.add(0, { requestId: "a", promptTokenIds: [1] }), isFault("closed"));
    await assert.rejects(frontEnd.client.ready(), isFault("closed"));
    assert.ok(new EngineCoreError({ kind: "closed" }, "x") instanceof Error);
    assert.deepEqual(frontEnd.deaths, []);
  });
});
