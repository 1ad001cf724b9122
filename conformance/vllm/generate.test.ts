import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readReferences, textOf } from "./demo-text.ts";
import { EngineClient, type GenerateWords, statusOf } from "./engine-client.ts";
import { type EngineHome, makeEngineHome, startVllmServer, type VllmServer } from "./vllm-server.ts";

const references = readReferences();
const question = references[0];
assert.ok(question !== undefined);
const { promptIds } = question;
const greedy = { temperature: 0 };
const vocabSize = 2048;

let home: EngineHome;
let server: VllmServer;
let client: EngineClient;

before(async () => {
  home = makeEngineHome();
  server = await startVllmServer(home);
  client = new EngineClient(server.target);
});

after(async () => {
  client?.close();
  server?.kill();
  home?.remove();
});

/** Within what float32 in another order of sums may differ. */
function assertClose(actual: number | undefined, expected: number | undefined, what: string): void {
  const distance = Math.abs((actual ?? Number.NaN) - (expected ?? Number.NaN));
  assert.ok(distance <= 0.01, `${what}: ${actual}, and the reference has ${expected}`);
}

describe("a real vLLM behind tokenwire", () => {
  test("gives the greedy ids that transformers and the llama engine give, for each reference prompt", async (t) => {
    let equal = 0;
    for (const { promptIds, generatedIds, prompt } of references) {
      const { tokenIds, completes, status } = await client.generate({
        promptIds,
        sampling: { ...greedy, maxTokens: 64 },
      });
      assert.equal(status, "OK");
      assert.deepEqual(tokenIds[0], generatedIds, prompt);
      assert.equal(completes[0]?.finishReason, generatedIds.length < 64 ? "stop" : "length");
      equal += 1;
    }
    t.diagnostic(`${equal} of ${references.length} prompts equal`);
    assert.ok(equal >= 24);
  });

  test("gives their logprobs within 0.01, and the same for the prompt when it ends with them", async (t) => {
    let largest = 0;
    for (const { promptIds, generatedIds, logprobs, prompt } of references) {
      const { completes } = await client.generate({
        promptIds,
        stream: false,
        sampling: { ...greedy, maxTokens: 64, logprobs: 2 },
      });
      const output = completes[0]?.outputLogprobs;
      assert.deepEqual(output?.tokenIds, generatedIds);
      for (const [position, expected] of logprobs.entries()) {
        assertClose(output.tokenLogprobs[position], expected, `${prompt} at ${position}`);
        largest = Math.max(largest, Math.abs((output.tokenLogprobs[position] ?? 0) - expected));
        assert.equal(output.topLogprobs[position]?.tokenIds[0], generatedIds[position]);
        assert.equal(output.topLogprobs[position]?.values.length, 2);
      }
    }
    t.diagnostic(`largest distance of a logprob: ${largest.toFixed(6)}`);

    for (const { promptIds, generatedIds, logprobs, prompt } of references.slice(0, 8)) {
      const whole = [...promptIds, ...generatedIds];
      const { completes } = await client.generate({
        promptIds: whole,
        stream: false,
        sampling: { ...greedy, maxTokens: 1, promptLogprobs: 1 },
      });
      const input = completes[0]?.inputLogprobs;
      assert.deepEqual(input?.tokenIds, whole);
      assert.equal(input.tokenLogprobs[0]?.value, undefined, "nothing predicts the first token");
      for (const [position, expected] of logprobs.entries()) {
        const { value } = input.tokenLogprobs[promptIds.length + position] ?? {};
        assertClose(value, expected, `${prompt} at ${position} of the prompt`);
      }
    }
  });

  test("gives 20 logprobs of each of 300 prompt tokens, which travel in frames of their own", async () => {
    const long = Array.from({ length: 300 }, (_, index) => 5 + (index % 500));
    const { completes } = await client.generate({
      promptIds: long,
      stream: false,
      sampling: { ...greedy, maxTokens: 4, logprobs: 20, promptLogprobs: 20, ignoreEos: true },
    });
    const { inputLogprobs, outputLogprobs } = completes[0] ?? {};
    assert.deepEqual(inputLogprobs?.tokenIds, long);
    assert.ok(inputLogprobs.topLogprobs.slice(1).every(({ values }) => values.length === 20));
    assert.deepEqual(
      outputLogprobs?.topLogprobs.map(({ values }) => values.length),
      [20, 20, 20, 20],
    );
  });

  test("takes a text as its own tokenizer does, and keeps its end when it is to be cut", async () => {
    const { text, promptTokens } = { text: question.prompt, promptTokens: promptIds.length };
    const whole = await client.generate({ text, sampling: { ...greedy, maxTokens: 64 } });
    assert.deepEqual(whole.tokenIds[0], question.generatedIds);
    assert.equal(whole.completes[0]?.promptTokens, promptTokens);
    const cut = await client.generate({ text, sampling: { ...greedy, maxTokens: 2, truncatePromptTokens: 5 } });
    assert.equal(cut.completes[0]?.promptTokens, 5);
  });

  test("gives three different outputs for n = 3, and the same three with the same seed", async () => {
    const sampling = { temperature: 1, n: 3, seed: 7, maxTokens: 12, ignoreEos: true };
    const [first, again] = [
      await client.generate({ promptIds, sampling }),
      await client.generate({ promptIds, sampling }),
    ];
    assert.equal(first.status, "OK");
    assert.deepEqual(
      first.tokenIds.map((ids) => ids.length),
      [12, 12, 12],
    );
    assert.equal(new Set(first.tokenIds.map(String)).size, 3);
    assert.deepEqual(again.tokenIds, first.tokenIds);
    assert.deepEqual(first.completes.map(({ index }) => index).sort(), [0, 1, 2]);
  });

  test("ends at a stop string, at a stop token and not before min_tokens", async () => {
    const stopped = await client.generate({ promptIds, sampling: { ...greedy, maxTokens: 64, stop: ["France"] } });
    const [complete] = stopped.completes;
    assert.equal(complete?.finishReason, "stop");
    assert.deepEqual(complete?.matchedStop, { $case: "matchedStopStr", value: "France" });
    assert.ok(stopped.tokenIds[0] !== undefined && stopped.tokenIds[0].length < question.generatedIds.length);

    const [, second = 0] = question.generatedIds;
    const atToken = await client.generate({
      promptIds,
      sampling: { ...greedy, maxTokens: 64, stopTokenIds: [second] },
    });
    assert.deepEqual(atToken.completes[0]?.matchedStop, { $case: "matchedTokenId", value: second });
    assert.equal(atToken.completes[0]?.completionTokens, 2);

    const minimum = await client.generate({ promptIds, sampling: { ...greedy, maxTokens: 40, minTokens: 30 } });
    assert.ok((minimum.completes[0]?.completionTokens ?? 0) >= 30);
  });

  test("keeps to a regular expression, a schema, a grammar, any JSON and a choice", async () => {
    const constrained = async (constraint: NonNullable<GenerateWords["sampling"]>["constraint"]): Promise<string> => {
      const sampling = { ...greedy, maxTokens: 100, constraint };
      const { tokenIds, status, details } = await client.generate({ promptIds, sampling });
      assert.equal(status, "OK", details);
      return textOf(tokenIds[0] ?? []);
    };
    assert.match(await constrained({ $case: "regex", value: "[0-9]{4}-[a-z]{2}" }), /^[0-9]{4}-[a-z]{2}$/);
    const schema = {
      type: "object",
      properties: { name: { type: "string", maxLength: 12 }, flag: { type: "boolean" } },
      required: ["name", "flag"],
      additionalProperties: false,
    };
    const object = JSON.parse(await constrained({ $case: "jsonSchema", value: JSON.stringify(schema) }));
    assert.deepEqual(Object.keys(object), ["name", "flag"]);
    assert.deepEqual([typeof object.name, typeof object.flag], ["string", "boolean"]);
    assert.equal(await constrained({ $case: "choice", value: { choices: ["Zanzibar", 'a "b"\\c'] } }), "Zanzibar");
    assert.match(await constrained({ $case: "grammar", value: 'root ::= "x" [0-9]+ "y"' }), /^x[0-9]+/);
    assert.match(await constrained({ $case: "jsonObject", value: true }), /^\s*[{[]/);
  });

  test("obeys logit_bias", async () => {
    const sampling = { ...greedy, maxTokens: 3, logitBias: { 500: 100 }, ignoreEos: true };
    const { tokenIds } = await client.generate({ promptIds, sampling });
    assert.deepEqual(tokenIds[0], [500, 500, 500]);
  });

  test("ends a stream with abort, and a stream that its client leaves, and is idle then", async () => {
    const endless = { temperature: 1, maxTokens: 1900, ignoreEos: true };
    const aborted = client.start({ promptIds, requestId: "to-abort", sampling: endless });
    const left = client.start({ promptIds, requestId: "to-leave", sampling: endless });
    await Promise.all([aborted.begun, left.begun]);
    await client.abort(["to-abort"]);
    left.cancel();
    const { status, completes } = await aborted.end;
    assert.deepEqual([status, completes[0]?.finishReason], ["OK", "abort"]);
    assert.equal((await left.end).status, "CANCELLED");
    // Statistics come with the engine's next message, and an engine that is idle sends none.
    await client.generate({ promptIds, sampling: { ...greedy, maxTokens: 1 } });
    assert.equal(await client.runningRequests(), 0);
  });

  test("drops its prefix cache when asked", async () => {
    const cachedTokens = async (): Promise<number | undefined> => {
      const { completes } = await client.generate({ promptIds: filler(512), sampling: { ...greedy, maxTokens: 1 } });
      return completes[0]?.cachedTokens;
    };
    await cachedTokens();
    assert.equal(await cachedTokens(), 384, "whole blocks of 128 but the last");
    assert.equal((await client.flushCache()).success, true);
    assert.equal(await cachedTokens(), 0);
  });

  test("says that a model which generates makes no embeddings", async () => {
    const refusal = await client.embed(promptIds).catch(statusOf);
    assert.ok(refusal === "UNIMPLEMENTED" || refusal === "FAILED_PRECONDITION", String(refusal));
  });

  test("tells its facts from the model's files and from the engine", async () => {
    const info = await client.modelInfo();
    assert.equal(info.maxContextLength, 2048);
    assert.equal(info.vocabSize, vocabSize);
    assert.deepEqual(info.eosTokenIds, [2, 0]);
    assert.deepEqual(info.architectures, ["LlamaForCausalLM"]);
  });
});

function filler(length: number): number[] {
  return Array.from({ length }, (_, index) => 5 + (index % 700));
}

/** What kills vLLM's engine, or makes it deaf, when it comes through. */
const killers: Readonly<Record<string, GenerateWords>> = {
  "a token id beyond the vocabulary": { promptIds: [1, 999_999] },
  "the first token id beyond the vocabulary": { promptIds: [vocabSize] },
  "an empty prompt": { promptIds: [] },
  "a prompt as long as the context": { promptIds: filler(2048) },
  "a prompt longer than the context": { promptIds: filler(5000) },
  "a stop token beyond the vocabulary with min_tokens": {
    promptIds,
    sampling: { stopTokenIds: [999_999], minTokens: 1 },
  },
  "a bias on a token beyond the vocabulary": { promptIds, sampling: { logitBias: { 999999: 1 } } },
  "a bias on the first token beyond the vocabulary": { promptIds, sampling: { logitBias: { [vocabSize]: 1 } } },
  "a bias on a negative token": { promptIds, sampling: { logitBias: { [-1]: 1 } } },
  "a bias that is no number": { promptIds, sampling: { logitBias: { 5: Number.NaN } } },
  "top_p above 1": { promptIds, sampling: { topP: 2.5 } },
  "a temperature above 2": { promptIds, sampling: { temperature: 3 } },
  "a negative temperature": { promptIds, sampling: { temperature: -1 } },
  "a temperature that is no number": { promptIds, sampling: { temperature: Number.NaN } },
  "an endless temperature": { promptIds, sampling: { temperature: Number.POSITIVE_INFINITY } },
  "min_p above 1": { promptIds, sampling: { minP: 1.5 } },
  "a presence penalty above 2": { promptIds, sampling: { presencePenalty: 2.5 } },
  "a frequency penalty below -2": { promptIds, sampling: { frequencyPenalty: -2.5 } },
  "a negative repetition penalty": { promptIds, sampling: { repetitionPenalty: -1 } },
  "max_tokens of 0": { promptIds, sampling: { maxTokens: 0 } },
  "min_tokens above max_tokens": { promptIds, sampling: { maxTokens: 3, minTokens: 4 } },
  "min_tokens above the context": { promptIds, sampling: { maxTokens: undefined, minTokens: 2048 } },
  "an empty stop string": { promptIds, sampling: { stop: [""] } },
  "n = 2 without sampling": { promptIds, sampling: { ...greedy, n: 2 } },
  "a thousand logprobs": { promptIds, sampling: { logprobs: 1000 } },
  "logprobs of -2": { promptIds, sampling: { logprobs: -2 } },
  "a thousand logprobs of the prompt": { promptIds, sampling: { promptLogprobs: 1000 } },
  "a rank that is not there": { promptIds, dataParallelRank: 7 },
  "a broken regular expression": { promptIds, sampling: { constraint: { $case: "regex", value: "(" } } },
  "a broken schema": { promptIds, sampling: { constraint: { $case: "jsonSchema", value: "{" } } },
  "an empty schema": { promptIds, sampling: { constraint: { $case: "jsonSchema", value: "" } } },
  "an empty grammar": { promptIds, sampling: { constraint: { $case: "grammar", value: " " } } },
  "no choice at all": { promptIds, sampling: { constraint: { $case: "choice", value: { choices: [] } } } },
};

describe("what kills vLLM's engine", () => {
  for (const [what, words] of Object.entries(killers)) {
    test(`${what} is refused INVALID_ARGUMENT, and the engine lives`, async (t) => {
      const { status, details } = await client.generate({ ...words, sampling: { maxTokens: 2, ...words.sampling } });
      t.diagnostic(details);
      assert.equal(status, "INVALID_ARGUMENT", details);
      const next = await client.generate({ promptIds, sampling: { ...greedy, maxTokens: 4 } });
      assert.deepEqual([next.status, next.tokenIds[0]], ["OK", question.generatedIds.slice(0, 4)], server.log());
    });
  }

  test("a request id that is in flight is refused, and the first request lives", async () => {
    const sampling = { temperature: 1, maxTokens: 1900, ignoreEos: true };
    // One right behind the other on one connection: vLLM may take all cores for longer than the first one runs.
    const first = client.start({ promptIds, requestId: "twice", sampling });
    const second = client.start({ promptIds, requestId: "twice", sampling });
    assert.equal((await second.end).status, "ALREADY_EXISTS");
    await first.begun;
    await client.abort(["twice"]);
    assert.ok(["abort", "length"].includes((await first.end).completes[0]?.finishReason ?? ""));
  });
});

test("SIGTERM ends the server with exit code 0 and leaves no process of the engine", async () => {
  const engine = home.processes();
  await server.stop();
  assert.ok(engine !== undefined);
  for (const pid of Object.values(engine)) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});
