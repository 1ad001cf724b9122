import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { EngineError } from "../../../engine/errors.ts";
import { describeModel } from "./describe-model.ts";
import { getNumber, getStringArray } from "./gguf-header.ts";
import { readGgufHeader } from "./read-gguf-header.ts";
import { type EncodableGguf, encodeGguf, gguf } from "./testing/encode-gguf.ts";

const demoPath = new URL("../../../../../../models/demo/tiny-f16.gguf", import.meta.url).pathname;

describe("readGgufHeader", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "gguf-"));
  });
  after(() => rm(folder, { recursive: true }));

  const write = async (name: string, bytes: Uint8Array): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    return path;
  };
  const refuses = async (path: string, sentence: RegExp): Promise<void> => {
    await assert.rejects(readGgufHeader(path), (thrown) => {
      assert.ok(thrown instanceof EngineError);
      assert.equal(thrown.kind, "failed-precondition");
      assert.ok(thrown.message.includes(path), thrown.message);
      assert.match(thrown.message, sentence);
      return true;
    });
  };
  const refusesBytes = async (file: EncodableGguf | Uint8Array, sentence: RegExp): Promise<void> =>
    refuses(await write("bad.gguf", file instanceof Uint8Array ? file : encodeGguf(file)), sentence);

  it("reads the metadata and tensors of the demonstration model", async () => {
    const header = await readGgufHeader(demoPath);
    assert.equal(header.version, 3);
    assert.equal(header.alignmentBytes, 32);
    assert.equal(header.tensors.length, 38);
    assert.deepEqual(header.tensors[0], {
      name: "token_embd.weight",
      dimensions: [256, 2048],
      ggmlType: 1,
      offsetBytes: 0,
    });
    assert.equal(getNumber(header, "llama.context_length"), 2048);
    assert.equal(getStringArray(header, "tokenizer.ggml.tokens")?.length, 2048);
    assert.deepEqual(header.files, [{ path: demoPath, sizeBytes: 5_839_616 }]);
  });

  for (const version of [2, 3]) {
    it(`reads every value type of version ${version}`, async () => {
      const metadata: EncodableGguf["metadata"] = [
        ["a.uint8", { type: "uint8", value: 255 }],
        ["a.int8", { type: "int8", value: -128 }],
        ["a.uint16", { type: "uint16", value: 65_535 }],
        ["a.int16", { type: "int16", value: -32_768 }],
        ["a.uint32", { type: "uint32", value: 4_294_967_295 }],
        ["a.int32", { type: "int32", value: -2_147_483_648 }],
        ["a.uint64", { type: "uint64", value: 18_446_744_073_709_551_615n }],
        ["a.int64", { type: "int64", value: -9_223_372_036_854_775_808n }],
        ["a.float32", { type: "float32", value: 0.5 }],
        ["a.float64", { type: "float64", value: 0.1 }],
        ["a.bool", { type: "bool", value: true }],
        ["a.string", { type: "string", value: "größer 🦙" }],
        ["a.empty", { type: "string", value: "" }],
      ];
      const header = await readGgufHeader(await write("types.gguf", encodeGguf({ version, metadata })));
      assert.equal(header.version, version);
      assert.deepEqual([...header.metadata], metadata);
    });
  }

  it("reads arrays of every element type", async () => {
    const arrays = {
      uint8: [0, 255],
      int8: [-128, 127],
      uint16: [65_535],
      int16: [-32_768],
      uint32: [4_294_967_295],
      int32: [-1],
      float32: [0.25],
      float64: [0.1],
      uint64: [1n],
      int64: [-1n],
      bool: [1, 0],
      string: ["a", "", "ü"],
    } as const;
    const metadata = Object.entries(arrays).map(
      ([of, values]) => [of, { type: "array", of: of as keyof typeof arrays, values: [...values] }] as const,
    );
    const header = await readGgufHeader(await write("arrays.gguf", encodeGguf({ metadata })));
    for (const [of, values] of Object.entries(arrays)) {
      const value = header.metadata.get(of);
      assert.ok(value?.type === "array");
      assert.deepEqual([...value.values], [...values]);
    }
  });

  it("reads a header that is larger than the first read", async () => {
    const tokens = Array.from({ length: 60_000 }, (_, id) => `token number ${id}`);
    const bytes = encodeGguf({ metadata: [["tokenizer.ggml.tokens", gguf.strings(tokens)]] });
    assert.ok(bytes.length > 1_048_576);
    const header = await readGgufHeader(await write("large.gguf", bytes));
    assert.deepEqual(getStringArray(header, "tokenizer.ggml.tokens"), tokens);
  });

  it("refuses a missing file, a directory, a device and a path through a file", async () => {
    await refuses(join(folder, "none.gguf"), /no such file.*Check the path/);
    await mkdir(join(folder, "folder.gguf"));
    await refuses(join(folder, "folder.gguf"), /directory.*Name the \.gguf file/);
    await refuses("/dev/null", /not a regular file/);
    await refuses(`${demoPath}/model.gguf`, /no such file/);
    await refuses("model\u0000.gguf", /reading it failed/);
  });

  it("refuses what is no GGUF file of a version it knows", async () => {
    await refusesBytes(Buffer.alloc(0), /holds 0 bytes/);
    await refusesBytes(Buffer.from("GGUF"), /holds 4 bytes/);
    await refusesBytes(Buffer.from("PK\u0003\u0004 something else entirely"), /letters GGUF/);
    await refusesBytes({ version: 1, metadata: [] }, /version 1/);
    await refusesBytes({ version: 4, metadata: [] }, /version 4/);
    await refusesBytes({ version: 0x03000000, metadata: [] }, /big-endian/);
  });

  it("refuses counts and lengths that the file cannot hold", async () => {
    const bytes = encodeGguf({ metadata: [["k", gguf.strings(["value"])]], dataBytes: 64 });
    const withCount = (at: number, count: bigint): Buffer => {
      const changed = Buffer.from(bytes);
      changed.writeBigUInt64LE(count, at);
      return changed;
    };
    await refusesBytes(withCount(8, 1_000_000n), /tensor count is 1000000, more than/);
    await refusesBytes(withCount(8, 2n ** 63n), /tensor count is 9223372036854775808/);
    await refusesBytes(withCount(16, 60_000n), /metadata count is 60000, more than/);
    await refusesBytes(withCount(16, 2n ** 40n), /at most 65536/);
    await refusesBytes(withCount(24, 2n ** 62n), /length of metadata key 0/);
    await refusesBytes(withCount(24, 60_000n), /ends in the middle/);
    await refusesBytes(withCount(41, 2n ** 50n), /number of values of "k" is/);
    await refusesBytes(withCount(49, 100_000n), /ends in the middle/);
  });

  it("refuses metadata that llama.cpp refuses", async () => {
    const unknown = encodeGguf({ metadata: [["k", gguf.uint32(1)]] });
    unknown.writeUInt32LE(13, 33);
    await refusesBytes(unknown, /"k" has the unknown value type 13/);
    const nested = encodeGguf({ metadata: [["k", gguf.strings([])]] });
    nested.writeUInt32LE(9, 37);
    await refusesBytes(nested, /"k" is an array of arrays/);
    await refusesBytes(
      {
        metadata: [
          ["k", gguf.uint32(1)],
          ["k", gguf.uint32(2)],
        ],
      },
      /key "k" twice/,
    );
    await refusesBytes(
      {
        metadata: [
          ["k", { type: "uint8", value: 1 }],
          ["b", { type: "bool", value: 2 }],
        ],
      },
      /2 for a bool/,
    );
    await refusesBytes({ metadata: [["general.alignment", gguf.uint32(24)]] }, /no power of two/);
    await refusesBytes({ metadata: [["general.alignment", gguf.uint32(0)]] }, /no power of two/);
  });

  const tensor = { name: "w", dimensions: [256], ggmlType: 12, offsetBytes: 0 };

  it("refuses tensors that make no sense", async () => {
    const refusesTensor = (change: Partial<typeof tensor>, sentence: RegExp): Promise<void> =>
      refusesBytes({ metadata: [], tensors: [{ ...tensor, ...change }], dataBytes: 10_000 }, sentence);
    await refusesTensor({ dimensions: [] }, /0 dimensions/);
    await refusesTensor({ dimensions: [1, 1, 1, 1, 1] }, /5 dimensions/);
    await refusesTensor({ dimensions: [2 ** 32, 2 ** 32] }, /larger than any memory/);
    await refusesTensor({ dimensions: [100] }, /rows of 100, no multiple of 256/);
    await refusesTensor({ offsetBytes: 8 }, /off the alignment of 32/);
  });

  it("refuses a file whose tensor data is cut short, and takes it one byte longer", async () => {
    const file = { metadata: [], tensors: [tensor, { ...tensor, name: "v", offsetBytes: 160 }] };
    const whole = encodeGguf({ ...file, dataBytes: 160 + 144 });
    assert.equal((await readGgufHeader(await write("whole.gguf", whole))).tensors.length, 2);
    await refusesBytes(whole.subarray(0, -1), /cut short.*need \d+ bytes.*tensor "v"/);
  });

  it("leaves the extent of a tensor of an unknown type to llama.cpp", async () => {
    const bytes = encodeGguf({ metadata: [], tensors: [{ ...tensor, ggmlType: 99 }] });
    assert.equal((await readGgufHeader(await write("later.gguf", bytes))).tensors[0]?.ggmlType, 99);
  });

  it("honours another alignment", async () => {
    const metadata: EncodableGguf["metadata"] = [["general.alignment", gguf.uint32(256)]];
    const whole = encodeGguf({ metadata, tensors: [tensor], alignmentBytes: 256, dataBytes: 144 });
    assert.equal((await readGgufHeader(await write("aligned.gguf", whole))).alignmentBytes, 256);
    await refusesBytes(whole.subarray(0, -1), /cut short/);
  });

  describe("of a split model", () => {
    const part = (number: number, name: string): Buffer =>
      encodeGguf({
        metadata: [
          ["split.no", { type: "uint16", value: number }],
          ["split.count", { type: "uint16", value: 2 }],
        ],
        tensors: [{ ...tensor, name }],
        dataBytes: 144,
      });

    it("joins the tensors of all parts", async () => {
      const first = await write("m-00001-of-00002.gguf", part(0, "a"));
      const second = await write("m-00002-of-00002.gguf", part(1, "b"));
      const header = await readGgufHeader(first);
      assert.deepEqual(
        header.tensors.map((each) => each.name),
        ["a", "b"],
      );
      assert.deepEqual(
        header.files.map((each) => each.path),
        [first, second],
      );
    });

    it("refuses another part than the first and names the first", async () => {
      const second = await write("n-00002-of-00002.gguf", part(1, "b"));
      await refuses(second, /part 2 of a split model.*n-00001-of-00002\.gguf/);
    });

    it("refuses a first part without the others, and one under another name", async () => {
      const first = await write("o-00001-of-00002.gguf", part(0, "a"));
      await assert.rejects(
        readGgufHeader(first),
        /o-00002-of-00002\.gguf cannot be used as a model: there is no such file/,
      );
      await refuses(
        await write("renamed.gguf", part(0, "a")),
        /not named so\. Name the parts NAME-00001-of-00002\.gguf/,
      );
    });
  });

  it("gives a header or an EngineError for every damaged file", async () => {
    const demo = await readFile(demoPath);
    const headerBytes = 120_000;
    const path = join(folder, "fuzzed.gguf");
    const flips = fc.array(fc.record({ at: fc.nat(headerBytes), value: fc.nat(255) }), { maxLength: 4 });
    // Most of a header is vocabulary; the counts and types that matter lie in its first bytes.
    const earlyFlips = fc.array(fc.record({ at: fc.nat(1_500), value: fc.nat(255) }), { maxLength: 3 });
    const length = fc.option(fc.oneof(fc.nat(headerBytes), fc.nat(demo.length)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(flips, earlyFlips), length, async (changes, cut) => {
        const bytes = Buffer.from(demo.subarray(0, cut ?? demo.length));
        for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
        await writeFile(path, bytes);
        try {
          describeModel(await readGgufHeader(path));
        } catch (thrown) {
          assert.ok(thrown instanceof EngineError, String(thrown));
          assert.equal(thrown.kind, "failed-precondition");
        }
      }),
      { numRuns: 300 },
    );
  });
});
