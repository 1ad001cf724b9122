import assert from "node:assert/strict";
import { constants } from "node:http2";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type ClosedStream, readCheckResponse } from "./grpc-response.ts";

const serving = Uint8Array.of(0, 0, 0, 0, 2, 8, 1);

function closed(part: Partial<ClosedStream>): ClosedStream {
  return {
    headers: { ":status": 200, "content-type": "application/grpc" },
    trailers: { "grpc-status": "0" },
    body: serving,
    resetCode: 0,
    connectionLost: false,
    ...part,
  };
}

/** A stream that ended before any grpc-status came. */
const cut = { trailers: undefined, body: new Uint8Array(0) };

suite("reading the answer of a Check", () => {
  test("status 0 with one message is a status, for every gRPC content type", () => {
    for (const contentType of ["application/grpc", "application/grpc+proto", "application/grpc;charset=x"]) {
      const stream = closed({ headers: { ":status": 200, "content-type": contentType } });
      assert.deepEqual(readCheckResponse(stream), { t: "status", status: "SERVING", trailers: {} });
    }
  });

  test("an empty message is status UNKNOWN, which is not healthy", () => {
    assert.deepEqual(readCheckResponse(closed({ body: new Uint8Array(5) })), {
      t: "status",
      status: "UNKNOWN",
      trailers: {},
    });
  });

  test("metadata beside the answer is kept, safe to print, without gRPC's own and binary keys", () => {
    const trailers = { "grpc-status": "0", "x-reason": "a\u0007b", "x-bin": "AA", "x-many": ["a", "b"] };
    const answer = readCheckResponse(closed({ trailers }));
    assert.deepEqual(answer, { t: "status", status: "SERVING", trailers: { "x-reason": "a b" } });
  });

  for (const [name, part, code] of [
    ["a failure in trailers", { trailers: { "grpc-status": "5" } }, 5],
    [
      "a failure in headers alone",
      { ...cut, headers: { ":status": 200, "content-type": "application/grpc", "grpc-status": "12" } },
      12,
    ],
    ["a failure that came before the reset", { trailers: { "grpc-status": "8" }, resetCode: 8 }, 8],
    ["a grpc-status that is no number", { trailers: { "grpc-status": "OK" } }, 2],
    ["a grpc-status that does not exist", { trailers: { "grpc-status": "17" } }, 2],
    ["a grpc-status that stands twice", { trailers: { "grpc-status": "0, 0" } }, 2],
    ["a grpc-status of two zeros", { trailers: { "grpc-status": "00" } }, 2],
    ["an end without grpc-status", { trailers: undefined }, 2],
    ["trailers without grpc-status", { trailers: {} }, 2],
    ["OK without a message", { body: new Uint8Array(0) }, 13],
    ["two messages", { body: Buffer.concat([serving, serving]) }, 13],
    ["half a message", { body: serving.subarray(0, 6) }, 13],
    ["half a message prefix", { body: serving.subarray(0, 3) }, 13],
    ["a compressed message", { body: Uint8Array.of(1, 0, 0, 0, 2, 8, 1) }, 13],
    ["a message that is malformed", { body: Uint8Array.of(0, 0, 0, 0, 1, 8) }, 13],
    ["another content type", { headers: { ":status": 200, "content-type": "text/html" } }, 2],
    [
      "a content type that only begins like gRPC",
      { headers: { ":status": 200, "content-type": "application/grpcx" } },
      2,
    ],
    ["HTTP 400", { ...cut, headers: { ":status": 400 } }, 13],
    ["HTTP 401", { ...cut, headers: { ":status": 401 } }, 16],
    ["HTTP 403", { ...cut, headers: { ":status": 403 } }, 7],
    ["HTTP 404", { ...cut, headers: { ":status": 404 } }, 12],
    ["HTTP 503", { ...cut, headers: { ":status": 503 } }, 14],
    ["HTTP 500", { ...cut, headers: { ":status": 500 } }, 2],
    ["HTTP 500 with grpc-status 0", { headers: { ":status": 500 } }, 2],
    ["a refused stream", { ...cut, headers: undefined, resetCode: constants.NGHTTP2_REFUSED_STREAM }, 14],
    ["a cancelled stream", { ...cut, headers: undefined, resetCode: constants.NGHTTP2_CANCEL }, 1],
    ["ENHANCE_YOUR_CALM", { ...cut, resetCode: constants.NGHTTP2_ENHANCE_YOUR_CALM }, 8],
    ["INADEQUATE_SECURITY", { ...cut, resetCode: constants.NGHTTP2_INADEQUATE_SECURITY }, 7],
    ["any other reset", { ...cut, resetCode: constants.NGHTTP2_PROTOCOL_ERROR }, 13],
    ["a lost connection", { ...cut, headers: undefined, connectionLost: true, resetCode: 8 }, 14],
    ["a connection lost after the message", { trailers: undefined, connectionLost: true }, 14],
  ] as const satisfies [string, Partial<ClosedStream>, number][]) {
    test(`${name} is a failure with code ${code}`, () => {
      const answer = readCheckResponse(closed(part));
      assert.equal(answer.t, "rpc-failed");
      assert.equal(answer.t === "rpc-failed" && answer.code, code);
    });
  }

  test("a message is percent-decoded, and what is not valid is kept", () => {
    const answer = readCheckResponse(
      closed({ trailers: { "grpc-status": "5", "grpc-message": "100%25 %c3%a9 %zz %" } }),
    );
    assert.deepEqual(answer, { t: "rpc-failed", code: 5, message: "100% é %zz %" });
  });

  test("a message is safe to print: bounded and without control characters, whatever the server sends", () => {
    const text = fc.oneof(fc.string(), fc.constantFrom("%1b[2J", "%0a", "%e2%82", "x".repeat(20_000)));
    fc.assert(
      fc.property(fc.array(text), (parts) => {
        const answer = readCheckResponse(closed({ trailers: { "grpc-status": "2", "grpc-message": parts.join("") } }));
        assert.ok(answer.t === "rpc-failed" && answer.message.length <= 4096 && !/\p{Cc}/u.test(answer.message));
      }),
    );
  });
});
