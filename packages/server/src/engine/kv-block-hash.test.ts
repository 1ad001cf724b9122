import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kvBlockHash } from "./kv-block-hash.ts";

describe("kvBlockHash", () => {
  it("is the same in every process", () => {
    // sha256 of 8 zero bytes and 1, 2 as little-endian 32-bit words; its first 8 bytes, little endian, signed.
    assert.equal(kvBlockHash(undefined, [1, 2]), 7904903189767637391n);
  });

  it("differs with the tokens, their order and all that comes before", () => {
    const root = kvBlockHash(undefined, [1, 2]);
    const names = [root, kvBlockHash(undefined, [2, 1]), kvBlockHash(root, [1, 2]), kvBlockHash(1n, [1, 2])];
    assert.equal(new Set(names).size, names.length);
  });
});
