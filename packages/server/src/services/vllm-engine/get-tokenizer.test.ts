import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { unzipSync } from "fflate";
import type { Engine } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { TokenizerFile } from "../../engine/facts.ts";
import { createMockEngine } from "../../engines/mock/mock-engine.ts";
import type { GetTokenizerChunk } from "../../generated/common.ts";
import { ScriptedCall } from "./testing/scripted-call.ts";
import { isStatus, serviceOver } from "./testing/service-under-test.ts";
import { packTokenizerFiles } from "./tokenizer-archive.ts";

function engineWith(tokenizerFiles: () => Promise<readonly TokenizerFile[]>): Engine {
  return Object.assign(createMockEngine({}), { tokenizerFiles });
}

const files: readonly TokenizerFile[] = [
  // Random bytes do not shrink: the archive takes several chunks, and the file goes to a thread.
  { name: "tokenizer.json", bytes: randomBytes(200_000) },
  { name: "config.json", bytes: Buffer.from("{}") },
];

describe("GetTokenizer", () => {
  it("sends a ZIP of the files in chunks of 64 KiB with its SHA-256 on the last", async () => {
    const service = serviceOver(engineWith(async () => files));
    const call = new ScriptedCall<GetTokenizerChunk>();
    await service.call("GetTokenizer", {}, call);
    const sizes = call.written.map(({ data }) => data.length);
    assert.ok(sizes.length === 4 && sizes.slice(0, -1).every((size) => size === 65_536), String(sizes));
    const archive = Buffer.concat(call.written.map(({ data }) => data));
    const sums = call.written.map(({ sha256 }) => sha256);
    assert.deepEqual(sums, ["", "", "", createHash("sha256").update(archive).digest("hex")]);
    const entries = unzipSync(archive);
    assert.deepEqual(Object.keys(entries), ["config.json", "tokenizer.json"]);
    for (const { name, bytes } of files) assert.deepEqual(Buffer.from(entries[name] ?? []), Buffer.from(bytes));
  });

  it("builds the archive once for all calls, and again after a failure", async () => {
    let asked = 0;
    const service = serviceOver(
      engineWith(async () => {
        asked += 1;
        if (asked === 1) throw new EngineError("failed-precondition", "no tokenizer");
        return files;
      }),
    );
    const get = () => service.call("GetTokenizer", {}, new ScriptedCall<GetTokenizerChunk>());
    await assert.rejects(get(), isStatus("FAILED_PRECONDITION", "no tokenizer"));
    await Promise.all([get(), get()]);
    await get();
    assert.equal(asked, 2);
  });

  it("is FAILED_PRECONDITION for a model without files, and UNAVAILABLE before the engine was ready", async () => {
    const none = serviceOver(engineWith(async () => []));
    const call = new ScriptedCall<GetTokenizerChunk>();
    await assert.rejects(none.call("GetTokenizer", {}, call), isStatus("FAILED_PRECONDITION", "no tokenizer files"));
    await assert.rejects(serviceOver(createMockEngine({})).call("GetTokenizer", {}, call), isStatus("UNAVAILABLE"));
  });

  it("waits for a slow reader and stops when the client goes away", async () => {
    const service = serviceOver(engineWith(async () => files));
    const call = new ScriptedCall<GetTokenizerChunk>();
    await call.read(2);
    const sending = service.call("GetTokenizer", {}, call);
    await call.count(2);
    call.cancel();
    await assert.rejects(sending, isStatus("CANCELLED"));
    assert.equal(call.written.length, 2);
  });

  it("packs the same files into the same bytes, whatever their order", async () => {
    const one = await packTokenizerFiles(files);
    const other = await packTokenizerFiles(files.toReversed());
    assert.equal(one.sha256, other.sha256);
    assert.match(one.sha256, /^[0-9a-f]{64}$/);
  });
});
