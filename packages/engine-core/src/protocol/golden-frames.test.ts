import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EngineCoreError } from "../engine-core-error.ts";
import { encodeAdd, requestType } from "./add.ts";
import { decodeHandshake, decodeIdentity, encodeIdentity, encodeInit } from "./handshake.ts";
import { type Decoded, decodeMessagePack } from "./msgpack/reader.ts";
import { encodeMessagePack } from "./msgpack/writer.ts";
import { decodeOutputs, type EngineCoreOutput, type EngineCoreOutputs } from "./outputs.ts";
import { decodeReadyResponse } from "./ready-response.ts";
import type { WireMap, WireValue } from "./request.ts";
import { goldenNames, readGoldenFrames } from "./testing/read-golden-frames.ts";

const greedy = [1777, 1488, 149, 135, 1305, 1055, 1055, 1055];

describe("bytes to a real engine", () => {
  for (const name of goldenNames()) {
    const sent = readGoldenFrames(name).filter(({ from }) => from === "front end");
    if (sent.length === 0) continue;
    it(`of ${name} are what we write for the same values`, () => {
      for (const { frames } of sent) {
        const [identity, type, body = type] = frames;
        assert.ok(identity !== undefined && body !== undefined);
        assert.deepEqual(Buffer.from(encodeIdentity(decodeIdentity(identity))), identity);
        assert.equal(Buffer.from(written(frames)).toString("hex"), Buffer.from(body).toString("hex"));
      }
    });
  }
});

describe("bytes from a real engine", () => {
  it("are HELLO and READY on the handshake socket", () => {
    const said = readGoldenFrames("handshake").filter(({ from }) => from === "engine");
    assert.deepEqual(
      said.map(({ frames }) => decodeHandshake(frames[1] ?? new Uint8Array())),
      ["HELLO", "READY"],
    );
  });

  it("are its facts on the input socket", () => {
    const [message] = readGoldenFrames("input-ready");
    const [identity, body] = message?.frames ?? [];
    assert.ok(identity !== undefined && body !== undefined);
    const facts = decodeReadyResponse(decodeIdentity(identity), body);
    const { all, ...named } = facts;
    assert.deepEqual(named, {
      engineIndex: 0,
      maxModelLenTokens: 2048,
      vllmVersion: "0.32.0",
      dtype: "float32",
      blockSizeTokens: 128,
      gpuBlocks: 8192,
      kvCacheTokens: 1_048_576,
      maxNumSeqs: 128,
      maxNumBatchedTokens: 2048,
      dataParallelSize: 1,
      tensorParallelSize: 1,
      pipelineParallelSize: 1,
      supportsLora: false,
    });
    assert.equal(Object.keys(all).length, 25);
  });

  it("answer utility calls", () => {
    const answers: readonly (readonly [string, Partial<EngineCoreOutputs["utilityOutput"]>])[] = [
      ["utility-get-supported-tasks", { callId: 1, failure: undefined, result: ["generate"] }],
      ["utility-is-sleeping", { callId: 2, failure: undefined, result: false }],
      ["utility-reset-prefix-cache", { callId: 4, failure: undefined, result: true }],
      ["utility-reset-mm-cache", { callId: 5, failure: undefined, result: null }],
    ];
    for (const [name, answer] of answers) assert.deepEqual(messagesOf(name)[0]?.utilityOutput, answer, name);
    const failed = messagesOf("utility-unknown-method")[0]?.utilityOutput;
    assert.equal(failed?.callId, 3);
    assert.match(
      failed?.failure ?? "",
      /^Call to no_such_method method failed: 'EngineCoreProc' object has no attribute/,
    );
  });

  it("are the tokens of a request, and why it ended", () => {
    const expected: readonly (readonly [string, readonly number[], string | undefined, number | undefined])[] = [
      ["add-greedy", greedy, "length", undefined],
      ["add-greedy-again", greedy, "length", undefined],
      ["add-stop-token", greedy.slice(0, 4), "stop", 135],
      ["add-eos", greedy.slice(0, 3), "stop", undefined],
      ["add-logprobs", greedy.slice(0, 2), "length", undefined],
      ["add-prompt-logprobs", [1777], "length", undefined],
      ["add-logprobs-of-both", [1777], "length", undefined],
      ["add-seeded", [449, 82, 1069, 42], "length", undefined],
      ["add-prompt-logprobs-frames", [934], "length", undefined],
      ["add-without-stats", greedy.slice(0, 4), "length", undefined],
      ["abort", greedy.slice(0, 3), undefined, undefined],
      ["structured-error", [], "error", undefined],
    ];
    for (const [name, tokens, finish, stop] of expected) {
      const outputs = outputsOf(name);
      assert.deepEqual(
        outputs.flatMap(({ newTokenIds }) => newTokenIds),
        tokens,
        name,
      );
      assert.equal(outputs.at(-1)?.finishReason, finish, name);
      assert.equal(outputs.at(-1)?.stopReason, stop, name);
      assert.equal(new Set(outputs.map(({ requestId }) => requestId)).size, 1, name);
    }
    assert.deepEqual(outputsOf("add-greedy")[0]?.prefillStats, { promptTokens: 4, cachedTokens: 0 });
    assert.equal(outputsOf("add-greedy")[1]?.prefillStats, undefined);
  });

  it("are statistics with each message, or none", () => {
    const [first] = messagesOf("add-greedy");
    const stats = first?.schedulerStats();
    assert.equal(stats?.runningRequests, 1);
    assert.equal(stats?.waitingRequests, 0);
    assert.equal(stats?.kvCacheUsage, 0.0001220852154804053);
    assert.equal(stats?.prefixCacheQueries, 4);
    assert.equal(stats?.prefixCacheHits, 0);
    assert.equal(first?.schedulerStats(), stats, "kept");
    assert.equal(messagesOf("add-without-stats")[0]?.schedulerStats(), undefined);
    assert.deepEqual(messagesOf("add-greedy-again")[0]?.outputs, []);
  });

  it("are refused where the statistics are none, when somebody asks", () => {
    for (const stats of [[1], { num_running_reqs: "1" }, { kv_cache_usage: [] }, { prefix_cache_stats: 1 }]) {
      const message = decodeOutputs([encodeMessagePack([0, [], stats])]);
      assert.throws(() => message.schedulerStats(), EngineCoreError);
    }
  });

  it("are logprobs, of the output and of the prompt, in the message or in frames of their own", () => {
    const logprobs = outputsOf("add-logprobs")[0]?.newLogprobs;
    assert.deepEqual(logprobs?.tokenIds, { shape: [1, 3], values: Int32Array.of(1777, 1777, 128) });
    assert.deepEqual(logprobs?.logprobs.values, floats(0xc0df9b5f, 0xc0df9b5f, 0xc0e2beaf));
    assert.deepEqual([...(logprobs?.ranks.values ?? [])], [1]);
    const inline = outputsOf("add-prompt-logprobs")[0]?.newPromptLogprobs;
    assert.deepEqual(inline?.tokenIds, { shape: [3, 2], values: Int32Array.of(5, 1720, 6, 1932, 7, 1323) });
    assert.deepEqual(inline?.logprobs.values.slice(0, 2), floats(0xc0f0c613, 0xc0de158c));
    const both = outputsOf("add-logprobs-of-both")[0];
    assert.deepEqual(both?.newLogprobs?.tokenIds.shape, [1, 21]);
    assert.deepEqual(both?.newPromptLogprobs?.tokenIds.shape, [3, 21]);
    const framed = outputsOf("add-prompt-logprobs-frames")[0]?.newPromptLogprobs;
    assert.deepEqual(framed?.tokenIds.shape, [9, 21]);
    assert.deepEqual([...(framed?.tokenIds.values ?? [])].slice(0, 4), [5, 1720, 222, 1890]);
    assert.deepEqual(framed?.logprobs.values.slice(0, 3), floats(0xc0f0c613, 0xc0de158c, 0xc0e1f9e4));
    assert.deepEqual([...(framed?.ranks.values ?? [])], [562, 1590, 1691, 196, 1116, 1105, 1415, 327, 626]);
  });
});

describe("an engine of another version", () => {
  const add = readGoldenFrames("add-without-stats");
  const body = add[1]?.frames[0] ?? new Uint8Array();
  const places = decodeMessagePack(body);
  assert.ok(Array.isArray(places));

  it("appends places, and they are passed over", () => {
    const [output] = asList(places[1]);
    const longer = replaced(places, 1, [[...asList(output), { code: 1 }, "new"]]);
    const message = decodeOutputs([encodeMessagePack([...longer, ["newer"], new Map([[1, 2]])])]);
    assert.deepEqual(message.outputs[0]?.newTokenIds, [1777]);
  });

  it("leaves places at the end off, and they are at their defaults", () => {
    const message = decodeOutputs([encodeMessagePack([0, [["a", [7]]]])]);
    assert.deepEqual(message.outputs[0]?.newTokenIds, [7]);
    assert.equal(message.outputs[0]?.finishReason, undefined);
    assert.equal(message.schedulerStats(), undefined);
    assert.equal(message.utilityOutput, undefined);
  });

  it("says in 0.33 why a request failed", () => {
    const nils: null[] = new Array(12).fill(null);
    const output = ["a", [], null, null, null, 3, ...nils, { code: 500, message: "no room", retryable: true }];
    assert.equal(decodeOutputs([encodeMessagePack([0, [output]])]).outputs[0]?.error, "no room");
  });
});

function messagesOf(name: string): readonly EngineCoreOutputs[] {
  return readGoldenFrames(name)
    .filter(({ from }) => from === "engine")
    .map(({ frames }) => decodeOutputs(frames));
}

function outputsOf(name: string): readonly EngineCoreOutput[] {
  return messagesOf(name).flatMap(({ outputs }) => outputs);
}

/** What we write for the values that these frames hold. */
function written(frames: readonly Uint8Array[]): Uint8Array {
  const [, type, body = type] = frames;
  assert.ok(type !== undefined && body !== undefined);
  const value = decodeMessagePack(body);
  if (frames.length === 2) {
    const addresses = value instanceof Map ? value.get("addresses") : undefined;
    assert.ok(addresses instanceof Map);
    return encodeInit(String(asList(addresses.get("inputs"))[0]), String(asList(addresses.get("outputs"))[0]));
  }
  if (Buffer.from(requestType.add).equals(type)) {
    const [requestId, prompt, , params, , arrival] = asList(value);
    assert.ok(params instanceof Map);
    return encodeAdd(
      { requestId: String(requestId), promptTokenIds: asList(prompt).map(Number), samplingParams: record(params) },
      Number(arrival),
    );
  }
  return encodeMessagePack(wire(value));
}

function record(map: ReadonlyMap<Decoded, Decoded>): WireMap {
  return Object.fromEntries([...map].map(([key, value]) => [String(key), wire(value)]));
}

function wire(value: Decoded | undefined): WireValue {
  if (value instanceof Map) return record(value);
  return Array.isArray(value) ? value.map(wire) : (value as WireValue);
}

function asList(value: unknown): readonly Decoded[] {
  assert.ok(Array.isArray(value));
  return value;
}

function replaced(places: readonly Decoded[], at: number, value: unknown): readonly WireValue[] {
  return places.map((place, index) => (index === at ? (value as WireValue) : wire(place)));
}

/** float32 by their bits. */
function floats(...bits: number[]): Float32Array {
  return new Float32Array(Uint32Array.from(bits).buffer);
}
