import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Campaign } from "./campaign.ts";
import { playWithNodeClient } from "./client-differential.ts";
import { readCorpus } from "./corpus.ts";
import { type Fuzzer, rule } from "./fuzzer.ts";
import { fuzzers } from "./fuzzers.ts";
import { decodeNghttp2, encodeForNghttp2, refuseLikeNghttp2 } from "./hpack-differential.ts";
import { Random } from "./random.ts";

/** A few seconds in all; `fuzz/run.ts` goes on for as long as it is let. */
const inputs: Readonly<Record<string, number>> = { frame: 4_000, huffman: 10_000, hpack: 4_000, connection: 1_500 };
const seed = 20_260;

for (const [name, fuzzer] of Object.entries(fuzzers)) {
  describe(`the ${name} fuzzer`, () => {
    for (const { name: file, note, input } of readCorpus(name)) {
      it(`finds nothing any more in ${file}: ${note}`, async () => {
        await fuzzer.check(input);
      });
    }

    it("finds nothing in a short run", async () => {
      const campaign = new Campaign(
        fuzzer,
        readCorpus(name).map(({ input }) => input),
        new Random(seed),
      );
      const finding = await campaign.run(inputs[name] ?? 1_000);
      const hex = Buffer.from(finding?.smallest ?? []).toString("hex");
      assert.equal(finding, undefined, `${finding?.sentence}\n${hex}`);
      assert.ok(campaign.outcomes > 20, "the inputs do hardly anything");
    });
  });
}

describe("HPACK beside nghttp2", () => {
  it("decodes what nghttp2 encodes, with tables of changing size", async () => {
    for (let n = 0; n < 5; n += 1) await decodeNghttp2(new Random(seed + n), 100);
  });

  it("is understood by nghttp2, with tables of changing size", async () => {
    for (let n = 0; n < 5; n += 1) await encodeForNghttp2(new Random(seed + n), 100);
  });

  it("refuses the blocks that nghttp2 refuses, and no others", async () => {
    const random = new Random(seed);
    let refused = 0;
    for (let n = 0; n < 300; n += 1) if (await refuseLikeNghttp2(random)) refused += 1;
    assert.ok(refused > 30 && refused < 270, `${refused} of 300`);
  });
});

describe("a connection with Node's own HTTP/2 client", () => {
  it("answers random programs of calls with exactly what they ask for", async () => {
    let calls = 0;
    for (let n = 0; n < 25; n += 1) calls += await playWithNodeClient(new Random(seed + n));
    assert.ok(calls > 25);
  });
});

describe("a campaign", () => {
  const planted: Fuzzer = {
    name: "planted",
    maxBytes: 40,
    make: (random) => random.bytes(30),
    check: (input) => {
      rule(!input.some((byte, i) => byte === 0x42 && input[i + 1] === 0x43), () => "two bytes in a row");
      return String(input[0]);
    },
  };

  it("finds a planted mistake and makes its input as small as it can be", async () => {
    const campaign = new Campaign(planted, [Uint8Array.of(1, 2, 0x42)], new Random(1));
    const finding = await campaign.run(100_000);
    assert.match(finding?.sentence ?? "", /two bytes in a row/);
    assert.deepEqual([...(finding?.smallest ?? [])], [0x42, 0x43]);
  });

  it("makes the same inputs from the same seed", async () => {
    const seen: Uint8Array[][] = [[], []];
    for (const list of seen) await new Campaign(planted, [], new Random(9)).run(50, (input) => list.push(input));
    assert.deepEqual(seen[0], seen[1]);
  });
});
