import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import type { GetTokenizerChunk } from "../generated/common.ts";
import { collectTokenizer } from "./collect-tokenizer.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function* chunksOf(parts: readonly Uint8Array[], sum: string): AsyncGenerator<GetTokenizerChunk> {
  for (const [index, data] of parts.entries()) {
    yield { data: Buffer.from(data), sha256: index === parts.length - 1 ? sum : "" };
  }
}

test("an archive in any pieces comes out whole", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 50 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(pieces, async (parts) => {
      const whole = Buffer.concat(parts);
      fc.pre(whole.length > 0);
      assert.deepEqual(await collectTokenizer(chunksOf(parts, sha256(whole))), whole);
    }),
  );
});

test("a sum that does not fit, or none, is refused with both sums", async () => {
  const parts = [Buffer.from("abc")];
  for (const sum of ["", "00", sha256(Buffer.from("abd"))]) {
    await assert.rejects(collectTokenizer(chunksOf(parts, sum)), {
      name: "TokenizerError",
      message: /has SHA-256 ba7816bf.*, but its last chunk says "/,
    });
  }
});

test("an archive beyond the bound is given up while it still comes", async () => {
  let sent = 0;
  async function* endless(): AsyncGenerator<GetTokenizerChunk> {
    for (;;) {
      sent++;
      yield { data: Buffer.alloc(1000), sha256: "" };
    }
  }
  await assert.rejects(collectTokenizer(endless(), 10_000), {
    name: "TokenizerError",
    message: /larger than 10000 bytes/,
  });
  assert.equal(sent, 11);
});

test("an empty archive is refused", async () => {
  await assert.rejects(collectTokenizer(chunksOf([], "")), { message: /empty tokenizer archive/ });
  await assert.rejects(collectTokenizer(chunksOf([Buffer.alloc(0)], sha256(Buffer.alloc(0)))), { message: /empty/ });
});
