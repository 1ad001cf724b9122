// Measures what an engine's step costs before anybody looks at a token: decoding its message, reading its statistics, and
// finding the request of each output. No socket. Run from the repository's root:
//
//   npx node --conditions=tokenwire-source bench/engine-core/decode.ts [--rounds 15]

import assert from "node:assert/strict";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { type Decoded, decodeMessagePack } from "../../packages/engine-core/src/protocol/msgpack/reader.ts";
import { encodeMessagePack } from "../../packages/engine-core/src/protocol/msgpack/writer.ts";
import { decodeOutputs } from "../../packages/engine-core/src/protocol/outputs.ts";
import type { WireValue } from "../../packages/engine-core/src/protocol/request.ts";
import { readGoldenFrames } from "../../packages/engine-core/src/protocol/testing/read-golden-frames.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "15" } } });
const rounds = Number(values.rounds);
assert.ok(Number.isSafeInteger(rounds) && rounds > 0, `--rounds must be a positive integer, not ${values.rounds}`);

const tokensPerRound = 100_000;
const stats = capturedStats();

console.log(
  `node ${process.version}, ${cpus()[0]?.model}, ${rounds} rounds of ${tokensPerRound} tokens each, CPU time\n`,
);
console.log("| outputs in a step | statistics | µs per token, median | least |\n| ---: | --- | ---: | ---: |");
for (const outputs of [1, 32, 256]) {
  for (const withStats of [true, false]) {
    const costs = measure(outputs, withStats);
    const [least = 0] = costs;
    const median = costs[Math.floor(costs.length / 2)] ?? 0;
    console.log(`| ${outputs} | ${withStats ? "on" : "off"} | ${median.toFixed(2)} | ${least.toFixed(2)} |`);
  }
}

/** µs of CPU per token, the least first. */
function measure(outputs: number, withStats: boolean): readonly number[] {
  const frame = step(outputs, withStats);
  const tokensOf = new Map(decodeOutputs([frame]).outputs.map(({ requestId }) => [requestId, 0]));
  const run = (steps: number): void => {
    for (let i = 0; i < steps; i++) {
      const message = decodeOutputs([frame]);
      assert.equal(message.schedulerStats() === undefined, !withStats);
      for (const { requestId, newTokenIds } of message.outputs) {
        tokensOf.set(requestId, (tokensOf.get(requestId) ?? 0) + newTokenIds.length);
      }
    }
  };
  const steps = Math.ceil(tokensPerRound / outputs);
  run(steps);
  const costs = Array.from({ length: rounds }, () => {
    const before = process.cpuUsage();
    run(steps);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / (steps * outputs);
  });
  return costs.sort((a, b) => a - b);
}

/** A step in which every request gets a token, as vLLM 0.32 sends it: 18 places of an output, most of them nil. */
function step(outputs: number, withStats: boolean): Uint8Array {
  const each = Array.from({ length: outputs }, (_, index): WireValue => {
    const nils: null[] = new Array(11).fill(null);
    return [`5f3a9c01-${index.toString(36)}`, [100 + index * 7], ...nils, 0, null, null, null, null];
  });
  return Buffer.from(encodeMessagePack([0, each, withStats ? stats : null, 1234.5, null, null, null, null, "default"]));
}

function capturedStats(): WireValue {
  const [, , message] = readGoldenFrames("add-greedy");
  const body = decodeMessagePack(message?.frames[0] ?? new Uint8Array());
  assert.ok(Array.isArray(body));
  return wire(body[2]);
}

function wire(value: Decoded | undefined): WireValue {
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [String(key), wire(member)]));
  return Array.isArray(value) ? value.map(wire) : (value as WireValue);
}
