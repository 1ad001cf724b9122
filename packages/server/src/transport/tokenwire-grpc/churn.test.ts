import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import { describe, it } from "node:test";
import { bidiStreaming, serverStreaming, unary } from "../../rpc/service.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { readAll, serve, text } from "./testing/rig.ts";

const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH } = constants;

describe("many calls at once", () => {
  it("all settle, whoever ends them, and the server is idle afterwards", async (t) => {
    let handlers = 0;
    const counted = async (work: () => Promise<string>): Promise<string> => {
      handlers += 1;
      try {
        return await work();
      } finally {
        handlers -= 1;
      }
    };
    const act = unary("Act", text, text, (request, call) =>
      counted(async () => {
        if (request === "fail") throw GrpcStatusError.of("ABORTED", "as asked");
        if (request === "wait" && !call.signal.aborted) await once(call.signal, "abort");
        return request;
      }),
    );
    const flow = serverStreaming("Flow", text, text, async (request, call) => {
      await counted(async () => {
        for (let i = 0; i < 200 && !call.signal.aborted; i += 1) {
          if (!call.write(`${i}${"x".repeat(500)}`)) await call.drained();
        }
        return request;
      });
    });
    const talk = bidiStreaming<string, string>("Talk", text, text, async (call) => {
      await counted(async () => {
        for await (const request of call.requests) call.write(request);
        return "";
      });
    });
    const { client, server } = await serve(t, [act, flow, talk]);
    const random = seeded(20_251_123);
    const settled: Promise<unknown>[] = [];
    for (let i = 0; i < 400; i += 1) {
      const choice = Math.floor(random() * 7);
      if (choice === 0) settled.push(client.unary("Act", "answer"));
      else if (choice === 1) settled.push(client.failure("Act", "fail"));
      else if (choice === 2) settled.push(client.failure("Act", "wait", { deadline: Date.now() + random() * 60 }));
      else if (choice < 5) {
        const stream = client.stream("Flow", "");
        settled.push(readAll(stream));
        if (choice === 4) setTimeout(() => stream.cancel(), random() * 40);
      } else {
        const stream = client.bidi("Talk");
        settled.push(readAll(stream));
        stream.write("a");
        if (choice === 5) stream.end("b");
        else setTimeout(() => stream.cancel(), random() * 40);
      }
    }
    await Promise.all(settled);
    await server.idle();
    assert.deepEqual([server.activeCalls, handlers], [0, 0]);
  });
});

describe("a request that is still on its way", () => {
  it("never reaches the handler when the deadline passes first, and leaves nothing behind", async (t) => {
    const echo = unary<string, string>("Echo", text, text, async () => assert.fail("must not run"));
    const { server, port, lines } = await serve(t, [echo]);
    const session = connect(`http://127.0.0.1:${port}`);
    t.after(() => session.destroy());
    const stream = session.request({
      [HTTP2_HEADER_METHOD]: "POST",
      [HTTP2_HEADER_PATH]: "/test.Text/Echo",
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": "30m",
    });
    stream.write(Buffer.from([0, 0, 0, 0, 1, 65]));
    const [headers] = await once(stream, "response");
    assert.equal(headers["grpc-status"], "4");
    stream.resume();
    stream.end();
    await once(stream, "close");
    await server.idle();
    assert.equal(server.activeCalls, 0);
    assert.deepEqual(lines, []);
  });
});

describe("a connection that many users share", () => {
  it("carries the others' calls on when thousands of them cancel at once", async (t) => {
    const go = Promise.withResolvers<void>();
    const wait = unary("Wait", text, text, async (request, call) => {
      if (request === "stay") await go.promise;
      else if (!call.signal.aborted) await once(call.signal, "abort");
      return request;
    });
    const { server, port } = await serve(t, [wait]);
    const session = connect(`http://127.0.0.1:${port}`);
    t.after(() => session.destroy());
    const open = (request: string) => {
      const stream = session.request({
        [HTTP2_HEADER_METHOD]: "POST",
        [HTTP2_HEADER_PATH]: "/test.Text/Wait",
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.resume();
      stream.end(Buffer.from([0, 0, 0, 0, request.length, ...Buffer.from(request)]));
      return stream;
    };
    const stays = open("stay");
    const trailers = once(stays, "trailers");
    for (let i = 0; i < 30; i += 1) {
      const leaving = Array.from({ length: 100 }, () => open("leave"));
      for (const stream of leaving) stream.close(constants.NGHTTP2_CANCEL);
      await Promise.all(leaving.map((stream) => once(stream, "close")));
    }
    // Its answer stands behind all those requests, so the server has seen them.
    const pinged = Promise.withResolvers<void>();
    session.ping(() => pinged.resolve());
    await pinged.promise;
    go.resolve();
    assert.equal((await trailers)[0]["grpc-status"], "0");
    await server.idle();
    assert.equal(server.activeCalls, 0);
  });
});

/** A small repeatable generator (mulberry32), in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
