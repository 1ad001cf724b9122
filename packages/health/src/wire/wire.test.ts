import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { ServingStatus } from "../serving-status.ts";
import { decodeHealthCheckRequest, decodeHealthListRequest, encodeHealthCheckRequest } from "./health-check-request.ts";
import { decodeHealthCheckResponse, encodeHealthCheckResponse } from "./health-check-response.ts";
import { decodeHealthListResponse, encodeHealthListResponse } from "./health-list-response.ts";
import { WireError } from "./wire-error.ts";

const name = fc.string({ unit: "binary", maxLength: 200 });
const status = fc.constantFrom<ServingStatus>("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN");

/** Fields that no health message has, one of each wire type, a group in a group among them. */
const unknownFields = Uint8Array.from([
  ...[0x78, 0xff, 0x01],
  ...[0x79, 1, 2, 3, 4, 5, 6, 7, 8],
  ...[0x7a, 0x02, 0x41, 0x42],
  ...[0x7b, 0x83, 0x01, 0x78, 0x05, 0x84, 0x01, 0x7c],
  ...[0x7d, 1, 2, 3, 4],
]);

const decoders = {
  decodeHealthCheckRequest,
  decodeHealthListRequest,
  decodeHealthCheckResponse,
  decodeHealthListResponse,
};

suite("wire", () => {
  test("a request reads back as it was written, for every name", () => {
    fc.assert(
      fc.property(name, (service) => {
        assert.deepEqual(decodeHealthCheckRequest(encodeHealthCheckRequest({ service })), { service });
      }),
    );
  });

  test("a list reads back as it was written, for every name and status", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, status)), (entries) => {
        const statuses = new Map(entries);
        assert.deepEqual(decodeHealthListResponse(encodeHealthListResponse({ statuses })), { statuses });
      }),
    );
  });

  test("the bytes are those of protobuf", () => {
    assert.equal(Buffer.from(encodeHealthCheckRequest({ service: "ab" })).toString("hex"), "0a026162");
    assert.equal(encodeHealthCheckRequest({ service: "" }).length, 0);
    assert.equal(Buffer.from(encodeHealthCheckResponse({ status: "SERVING" })).toString("hex"), "0801");
    assert.equal(Buffer.from(encodeHealthCheckResponse({ status: "NOT_SERVING" })).toString("hex"), "0802");
    assert.equal(Buffer.from(encodeHealthCheckResponse({ status: "SERVICE_UNKNOWN" })).toString("hex"), "0803");
    const list = encodeHealthListResponse({ statuses: new Map([["a", "SERVING"]]) });
    assert.equal(Buffer.from(list).toString("hex"), "0a070a016112020801");
  });

  test("a name longer than 127 bytes has a length of two bytes", () => {
    const service = "x".repeat(300);
    assert.equal(Buffer.from(encodeHealthCheckRequest({ service }).subarray(0, 3)).toString("hex"), "0aac02");
    assert.deepEqual(decodeHealthCheckRequest(encodeHealthCheckRequest({ service })), { service });
  });

  test("fields of a later version are skipped, before and after our own", () => {
    for (const bytes of [
      Buffer.concat([unknownFields, Buffer.from("0a0161", "hex")]),
      Buffer.concat([Buffer.from("0a0161", "hex"), unknownFields]),
    ]) {
      assert.deepEqual(decodeHealthCheckRequest(bytes), { service: "a" });
    }
    assert.deepEqual(decodeHealthListRequest(unknownFields), {});
    assert.deepEqual(decodeHealthCheckResponse(Buffer.concat([unknownFields, Buffer.from("0801", "hex")])), {
      status: "SERVING",
    });
  });

  test("a field that stands twice holds its last value", () => {
    assert.deepEqual(decodeHealthCheckRequest(Buffer.from("0a01610a0162", "hex")), { service: "b" });
    assert.deepEqual(decodeHealthCheckResponse(Buffer.from("08010802", "hex")), { status: "NOT_SERVING" });
  });

  test("a map entry without key or value reads as the empty name and UNKNOWN", () => {
    assert.deepEqual(decodeHealthListResponse(Buffer.from("0a00", "hex")).statuses, new Map([["", "UNKNOWN"]]));
  });

  test("a status number that is not in health.proto reads as UNKNOWN", () => {
    for (const hex of ["0804", "08ffffffffffffffffff01"]) {
      assert.deepEqual(decodeHealthCheckResponse(Buffer.from(hex, "hex")), { status: "UNKNOWN" });
    }
  });

  test("malformed bytes are refused with a WireError", () => {
    for (const [fault, hex] of [
      ["a key without a value", "0a"],
      ["a length beyond the end", "0a0561"],
      ["a length of more than 32 bits", "0a808080801061"],
      ["a number longer than ten bytes", "08ffffffffffffffffffff01"],
      ["a number of more than 64 bits", "08ffffffffffffffffff02"],
      ["field number 0", "0001"],
      ["a field number of more than 29 bits", "808080808001"],
      ["wire type 6", "7e"],
      ["a group without an end", "7b"],
      ["an end without a group", "7c"],
      ["groups that end in the wrong order", "7b83017c8401"],
      ["groups nested a thousand deep", "7b".repeat(1000) + "7c".repeat(1000)],
    ] as const) {
      for (const decode of Object.values(decoders)) {
        assert.throws(() => decode(Buffer.from(hex, "hex")), WireError, `${decode.name}: ${fault}`);
      }
    }
  });

  test("a name that is not UTF-8 is refused", () => {
    assert.throws(() => decodeHealthCheckRequest(Buffer.from("0a02c328", "hex")), {
      name: "WireError",
      message: "HealthCheckRequest.service: not valid UTF-8",
    });
  });

  test("a name of 1024 bytes is read and one of 1025 is refused, in bytes and not in characters", () => {
    const longest = "é".repeat(512);
    assert.equal(decodeHealthCheckRequest(encodeHealthCheckRequest({ service: longest })).service, longest);
    const tooLong = Buffer.concat([Buffer.from("0a8108", "hex"), Buffer.from(`${longest}x`)]);
    assert.throws(() => decodeHealthCheckRequest(tooLong), /1025 bytes, at most 1024/);
    assert.throws(() => encodeHealthCheckRequest({ service: `${longest}x` }), RangeError);
  });

  test("whatever the bytes, a decoder answers or throws a WireError", () => {
    // Small bytes are keys and lengths that fit, so that the fuzz goes deeper than the first field.
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc
        .array(fc.constantFrom(0x08, 0x0a, 0x12, 0x7b, 0x7c, 0, 1, 2, 3, 0x80), { maxLength: 64 })
        .map((a) => Uint8Array.from(a)),
    );
    fc.assert(
      fc.property(bytes, fc.constantFrom(...Object.values(decoders)), (input, decode) => {
        try {
          decode(input);
        } catch (error) {
          assert.ok(error instanceof WireError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
