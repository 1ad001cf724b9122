import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import fc from "fast-check";
import { addTrailer, statusOf, wireDetails } from "./status-on-the-wire.ts";

describe("status sentences", () => {
  it("always encode, never exceed 4,096 bytes, and are unchanged when they are fine", () => {
    const unit = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: "binary", minLength: 1_000, maxLength: 6_000 }),
    );
    fc.assert(
      fc.property(unit, fc.constantFrom("", "\ud800", "\udfff", "a", " "), (sentence, tail) => {
        const sent = wireDetails(sentence + tail);
        assert.ok(encodeURI(sent).length <= 4_096);
        if (tail === "a" && encodeURI(`${sentence}a`).length <= 4_096) assert.equal(sent, `${sentence}a`);
      }),
      { numRuns: 200 },
    );
  });
});

describe("trailers", () => {
  it("carry any value, and take no name that HTTP/2 or the transport keeps for itself", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        const trailers = new Metadata();
        addTrailer(trailers, "x-reason", value);
        assert.match(String(trailers.get("x-reason")[0]), /^[ -~]*$/);
      }),
    );
    for (const key of ["grpc-status", "grpc-message", "te", "X-Upper", ":path", "data-bin", "", "a b"]) {
      assert.throws(() => addTrailer(new Metadata(), key, "v"), TypeError, key);
    }
  });
});

describe("reading a status out of what was thrown", () => {
  it("takes nothing for a status that only looks a little like one", () => {
    for (const thrown of [
      undefined,
      "GrpcStatusError",
      new Error("plain"),
      Object.assign(new Error("code of the system"), { code: "ENOENT" }),
      Object.assign(new Error("no code"), { name: "GrpcStatusError" }),
      Object.assign(new Error("no such code"), { name: "GrpcStatusError", code: 17 }),
      { name: "GrpcStatusError", code: 5, message: "not an Error" },
    ]) {
      assert.equal(statusOf(thrown), undefined);
    }
  });
});
