import assert from "node:assert/strict";
import { test } from "node:test";
import { priorityOf, traceHeadersOf } from "./request-metadata.ts";
import { isStatus } from "./testing/service-under-test.ts";

const callWith = (metadata: Readonly<Record<string, string>>) => ({
  metadata: { get: (key: string) => metadata[key] },
});

test("the priority is an int32, and absent when the caller gives none", () => {
  for (const [text, priority] of [
    ["0", 0],
    ["-7", -7],
    ["2147483647", 2147483647],
    ["-2147483648", -2147483648],
  ] as const) {
    assert.equal(priorityOf(callWith({ "tokenwire-priority": text })), priority);
  }
  assert.equal(priorityOf(callWith({})), undefined);
});

test("a priority that is no int32 is refused with its value and range", () => {
  for (const text of ["", "high", "1.5", "1e3", "0x10", " 1", "2147483648", "99999999999"]) {
    assert.throws(
      () => priorityOf(callWith({ "tokenwire-priority": text })),
      isStatus("INVALID_ARGUMENT", "metadata tokenwire-priority: not an int32"),
    );
  }
});

test("the caller's trace context is handed on as it came, and other metadata is not", () => {
  const trace = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", tracestate: "a=1" };
  assert.deepEqual(traceHeadersOf(callWith({ ...trace, authorization: "secret" })), trace);
  assert.equal(traceHeadersOf(callWith({})), undefined);
});

test("a trace context without bound is left out", () => {
  assert.equal(traceHeadersOf(callWith({ tracestate: "a".repeat(9000) })), undefined);
});
