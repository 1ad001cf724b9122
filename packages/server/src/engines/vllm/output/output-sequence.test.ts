import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SamplingParams } from "../../../engine/request.ts";
import { CollectingSink } from "../../../engine/testing/collecting-sink.ts";
import { greedySampling } from "../../../engine/testing/sampling.ts";
import { OutputSequence, type StepEnd, type StepOutput } from "./output-sequence.ts";
import { StopStrings } from "./stop-strings.ts";

const step = (tokenIds: readonly number[], changes: Partial<StepOutput> = {}): StepOutput => ({
  tokenIds,
  logprobs: undefined,
  promptLogprobs: undefined,
  cachedTokens: undefined,
  end: undefined,
  ...changes,
});

const ends = (end: StepEnd): Partial<StepOutput> => ({ end });

/** Letters by their code, as tokens. */
const decode = (ids: readonly number[]): string => String.fromCharCode(...ids);
const idsOf = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));

function sequenceWith(changes: Partial<SamplingParams> = {}, prompt: readonly number[] = [10, 11, 12]) {
  const sampling = greedySampling(changes);
  const sink = new CollectingSink();
  const stops =
    sampling.stop.length === 0 ? undefined : new StopStrings(sampling.stop, sampling.minTokens, decode, prompt);
  const request = { id: "r", prompt: { kind: "tokens", tokenIds: Uint32Array.from(prompt) }, sampling } as const;
  const sequence = new OutputSequence({ request, index: 0, prompt, sink, stops, eosTokenIds: new Set([2, 0]) });
  return { sequence, sink };
}

describe("an output of vLLM's engine", () => {
  it("becomes a delta per step, with the prompt's figures on each", () => {
    const { sequence, sink } = sequenceWith();
    assert.equal(sequence.step(step([65], { cachedTokens: 2 })), "goes on");
    assert.equal(sequence.step(step([66], ends({ t: "length" }))), "ended");
    assert.deepEqual(
      sink.deltas.map(({ tokenIds, promptTokens, cachedTokens, finish }) => [
        tokenIds,
        promptTokens,
        cachedTokens,
        finish,
      ]),
      [
        [[65], 3, 2, undefined],
        [[66], 3, 2, { reason: "length" }],
      ],
    );
  });

  it("never counts all of its prompt as cached", () => {
    const { sequence } = sequenceWith();
    sequence.step(step([65], { cachedTokens: 3 }));
    assert.equal(sequence.cachedTokens, 2);
  });

  it("ends plainly at an EOS, and with the match at a stop token that was asked for", () => {
    const finishOf = (end: StepEnd, changes: Partial<SamplingParams> = {}) => {
      const { sequence, sink } = sequenceWith(changes);
      sequence.step(step([65], ends(end)));
      return sink.finish();
    };
    assert.deepEqual(finishOf({ t: "stop", tokenId: undefined }), { reason: "stop" });
    assert.deepEqual(finishOf({ t: "stop", tokenId: 0 }), { reason: "stop" });
    assert.deepEqual(finishOf({ t: "stop", tokenId: 0 }, { stopTokenIds: [0] }), {
      reason: "stop",
      matched: { tokenId: 0 },
    });
    assert.deepEqual(finishOf({ t: "stop", tokenId: 65 }, { stopTokenIds: [65] }), {
      reason: "stop",
      matched: { tokenId: 65 },
    });
    assert.deepEqual(finishOf({ t: "abort" }), { reason: "abort" });
  });

  it("is cut at the token that completes a stop string, with its logprobs", () => {
    const { sequence, sink } = sequenceWith({ stop: ["bc"] });
    const logprobs = {
      rows: 3,
      columns: 1,
      tokenIds: Int32Array.from(idsOf("bcd")),
      logprobs: Float64Array.of(-1, -2, -3),
    };
    assert.equal(sequence.step(step(idsOf("a"))), "goes on");
    assert.equal(sequence.step(step(idsOf("bcd"), { logprobs })), "cut");
    assert.deepEqual(sink.finish(), { reason: "stop", matched: { text: "bc" } });
    assert.deepEqual(sink.tokenIds(), idsOf("abc"));
    assert.deepEqual(sink.deltas.at(-1)?.logprobs?.tokenLogprobs, [-1, -2]);
  });

  it("drops what was on its way when it was cut", () => {
    const { sequence, sink } = sequenceWith({ stop: ["a"] });
    sequence.step(step(idsOf("a")));
    assert.equal(sequence.step(step(idsOf("b"))), "ended");
    assert.deepEqual(sink.tokenIds(), idsOf("a"));
  });

  it("needs no abort when the engine ends it with the same token that completes a stop string", () => {
    const { sequence, sink } = sequenceWith({ stop: ["a"] });
    assert.equal(sequence.step(step(idsOf("a"), ends({ t: "length" }))), "ended");
    assert.deepEqual(sink.finish(), { reason: "stop", matched: { text: "a" } });
  });

  it("does not take an EOS for text", () => {
    const { sequence, sink } = sequenceWith({ stop: ["z"] });
    sequence.step(step(idsOf("az"), ends({ t: "stop", tokenId: undefined })));
    assert.deepEqual(sink.finish(), { reason: "stop" });
  });

  it("gives the prompt's logprobs with its first token, joined", () => {
    const { sequence, sink } = sequenceWith({ promptLogprobs: 0 });
    const part = (id: number) => ({
      rows: 1,
      columns: 1,
      tokenIds: Int32Array.of(id),
      logprobs: Float64Array.of(-id),
    });
    assert.equal(sequence.step(step([], { promptLogprobs: part(11) })), "goes on");
    sequence.step(step([65], { promptLogprobs: part(12) }));
    sequence.step(step([66], ends({ t: "length" })));
    assert.deepEqual(
      sink.deltas.map((delta) => delta.promptLogprobs?.tokenLogprobs),
      [[undefined, -11, -12], undefined],
    );
  });

  it("gives logprobs of a prompt of one token, of which the engine says nothing", () => {
    const { sequence, sink } = sequenceWith({ promptLogprobs: 1 }, [10]);
    sequence.step(step([65], ends({ t: "length" })));
    assert.deepEqual(sink.deltas[0]?.promptLogprobs, {
      tokenIds: [10],
      tokenLogprobs: [undefined],
      top: [{ tokenIds: [], values: [] }],
    });
  });

  it("says once that it was aborted, and nothing after", () => {
    const { sequence, sink } = sequenceWith();
    sequence.step(step([65]));
    sequence.abort();
    sequence.abort();
    assert.equal(sequence.step(step([66])), "ended");
    assert.deepEqual([sink.tokenIds(), sink.finish()], [[65], { reason: "abort" }]);
  });

  it("blames a constraint that the engine cannot compile on the request", async () => {
    const { sequence, sink } = sequenceWith({ constraint: { kind: "regex", source: "(" } });
    assert.equal(sequence.step(step([], ends({ t: "error", message: undefined }))), "failed");
    const end = await sink.end();
    assert.ok(end.t === "failed");
    assert.deepEqual([end.error.kind, end.error.field], ["invalid-argument", "sampling_params.regex"]);
    assert.match(end.error.message, /^sampling_params\.regex: vLLM's xgrammar cannot compile it$/);
  });

  it("lets another replica try what the engine failed for its own reasons", async () => {
    const { sequence, sink } = sequenceWith();
    sequence.step(step([65]));
    assert.equal(sequence.step(step([], ends({ t: "error", message: "KV load failed" }))), "failed");
    const end = await sink.end();
    assert.ok(end.t === "failed");
    assert.deepEqual(
      [end.error.kind, end.error.message],
      ["unavailable", "the engine failed this request: KV load failed"],
    );
  });
});
