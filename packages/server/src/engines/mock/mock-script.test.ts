import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EngineError } from "../../engine/errors.ts";
import { parseMockScript } from "./mock-script.ts";

describe("parsing a mock script", () => {
  it("takes an empty script", () => {
    assert.equal(parseMockScript({}).stepIntervalMs, undefined);
  });

  it("takes everything that a script can say", () => {
    const script = parseMockScript({
      model: { modelPath: "m", vocabSize: 300, maxModelLenTokens: 64, maxNumSeqs: 2, blockSizeTokens: 4 },
      start: { delayMs: 100 },
      stepIntervalMs: "manual",
      outputs: [[1, 299], "text"],
      cachedTokens: 3,
      cachedPrefixes: [[1, 2, 3, 4]],
      faults: [
        { kind: "slow", afterMs: 1, stepIntervalMs: 50 },
        { kind: "stall", afterSteps: 2, forMs: 30 },
        { kind: "hang", afterSteps: 3 },
        { kind: "die", afterMs: 4 },
        { kind: "kv-gap", afterSteps: 5 },
        { kind: "error", request: 1, error: { kind: "internal", message: "broken" } },
      ],
    });
    assert.deepEqual(script.outputs, [[1, 299], "text"]);
    assert.deepEqual(script.faults?.[0], { kind: "slow", at: { afterMs: 1 }, stepIntervalMs: 50 });
    assert.deepEqual(script.faults?.[1], { kind: "stall", at: { afterSteps: 2 }, forMs: 30 });
    assert.equal(script.faults?.[3]?.kind === "die" && script.faults[3].reason, "scripted death");
    assert.equal(script.stepIntervalMs, "manual");
  });

  const wrong: readonly (readonly [unknown, string])[] = [
    [null, "mock script: script: must be an object, got null"],
    [[], "mock script: script: must be an object, got []"],
    [{ modle: {} }, "mock script: script.modle: unknown; known here are model, start, "],
    [{ model: { vocabSize: 10 } }, "mock script: model.vocabSize: must be an integer from 259 to 10000000, got 10"],
    [{ model: { isGeneration: 1 } }, "mock script: model.isGeneration: must be true or false, got 1"],
    [{ stepIntervalMs: -1 }, "mock script: stepIntervalMs: must be an integer from 0 to 2147483647, got -1"],
    [{ stepIntervalMs: "fast" }, "mock script: stepIntervalMs: must be an integer"],
    [{ start: { fail: "" } }, 'mock script: start.fail: must be a non-empty text, got ""'],
    [{ cachedPrefixes: [7] }, "mock script: cachedPrefixes[0]: must be a list of token ids, got 7"],
    [{ outputs: [] }, "mock script: outputs: must have at least one entry, got []"],
    [{ outputs: [7] }, "mock script: outputs[0]: must be a text or a list of token ids, got 7"],
    [{ outputs: [[1, 259]] }, "mock script: outputs[0][1]: must be an integer from 0 to 258, got 259"],
    [
      { faults: [{ kind: "nap" }] },
      "mock script: faults[0].kind: must be one of slow, stall, hang, die, kv-gap, error",
    ],
    [{ faults: [{ kind: "hang" }] }, "mock script: faults[0]: must have either afterMs or afterSteps"],
    [{ faults: [{ kind: "hang", afterMs: 1, afterSteps: 1 }] }, "mock script: faults[0]: must have either"],
    [{ faults: [{ kind: "stall", afterMs: 1 }] }, "mock script: faults[0].forMs: must be an integer"],
    [{ faults: [{ kind: "error", request: 0 }] }, "mock script: faults[0].request: must be an integer from 1"],
    [{ faults: [{ kind: "error", request: 1, error: { kind: "odd" } }] }, "mock script: faults[0].error.kind: must be"],
  ];
  for (const [json, message] of wrong) {
    it(`refuses ${JSON.stringify(json)}`, () => {
      assert.throws(
        () => parseMockScript(json),
        (thrown) => thrown instanceof EngineError && thrown.message.startsWith(message),
      );
    });
  }

  it("answers any JSON with a script or a clear error", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        try {
          parseMockScript(json);
        } catch (thrown) {
          assert.ok(thrown instanceof EngineError && thrown.kind === "invalid-argument");
        }
      }),
    );
  });
});
