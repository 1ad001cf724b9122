import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import { describe, it } from "node:test";
import { GrpcStatusError } from "../rpc/status.ts";
import { readAll, TextClient } from "../testing/grpc-js-client.ts";
import { seeded, serve } from "../testing/rig.ts";
import { bidiStreaming, serverStreaming, unary } from "../testing/text-service.ts";

const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH } = constants;

describe("32 streams of 20,000 messages to slow readers", () => {
  it("lose nothing and double nothing, whatever the windows", { timeout: 120_000 }, async (t) => {
    const random = seeded(7);
    let waits = 0;
    const { listener, server } = await serve(t, [
      serverStreaming("Count", async (request, call) => {
        const count = Number(request);
        for (let n = 0; n < count; n += 1) {
          if (call.write(`${request}:${n}`)) continue;
          waits += 1;
          await call.drained();
        }
      }),
    ]);
    const counts = Array.from({ length: 32 }, (_, n) => 19_969 + n);
    const clients = Array.from(
      { length: 4 },
      () =>
        new TextClient(listener.port, {
          // Random windows, from less than a frame to more than the rest.
          "grpc-node.flow_control_window": 70_000 + Math.floor(random() * 200_000),
          "grpc.use_local_subchannel_pool": 1,
        }),
    );
    t.after(() => {
      for (const client of clients) client.close();
    });
    await Promise.all(
      counts.map(async (count, at) => {
        const stream = (clients[at % 4] as TextClient).stream("Count", String(count));
        let next = 0;
        for await (const message of stream) {
          assert.equal(message, `${count}:${next}`);
          next += 1;
          if (next % 1_000 === 0 && random() < 0.3) await new Promise((resolve) => setTimeout(resolve, random() * 10));
        }
        assert.equal(next, count);
      }),
    );
    await server.idle();
    assert.ok(waits > 100, `${waits} waits`);
    assert.equal(server.activeCalls, 0);
  });
});

describe("a peer with node:http2 and a small window", () => {
  it("reads every byte of answers that are larger than its windows", async (t) => {
    const random = seeded(11);
    const { listener } = await serve(t, [
      unary("Big", (size) => "z".repeat(Number(size))),
      serverStreaming("Flow", async (size, call) => {
        for (let n = 0; n < 50; n += 1) if (!call.write("y".repeat(Number(size)))) await call.drained();
      }),
    ]);
    for (const initialWindowSize of [1, 50, 1_000, 65_535]) {
      const session = connect(`http://127.0.0.1:${listener.port}`, { settings: { initialWindowSize } });
      await once(session, "connect");
      const sizes = [0, 1, 495, 507, 508, 512, 5_000, Math.floor(random() * 3_000)];
      for (const size of initialWindowSize === 1 ? sizes.slice(0, 4) : sizes) {
        for (const [method, messages] of [
          ["Big", 1],
          ["Flow", initialWindowSize === 1 ? 0 : 50],
        ] as const) {
          if (messages === 0) continue;
          const stream = session.request({
            [HTTP2_HEADER_METHOD]: "POST",
            [HTTP2_HEADER_PATH]: `/test.Text/${method}`,
            "content-type": "application/grpc",
            te: "trailers",
          });
          const request = Buffer.from(String(size));
          stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, request.length]), request]));
          let bytes = 0;
          stream.on("data", (chunk: Buffer) => {
            bytes += chunk.length;
          });
          const [trailers] = await once(stream, "trailers");
          await once(stream, "close");
          assert.equal(trailers["grpc-status"], "0");
          assert.equal(bytes, messages * (size + 5), `${method} ${size} in windows of ${initialWindowSize}`);
        }
      }
      session.close();
      await once(session, "close");
    }
  });

  it("agrees on every field, whatever the header table's size", async (t) => {
    const { listener } = await serve(t, [
      unary("Meta", (_text, call) => {
        for (const [key, value] of call.metadata) if (key.startsWith("x-")) call.setTrailer(key, value);
        return "";
      }),
    ]);
    const random = seeded(3);
    for (const headerTableSize of [0, 64, 4_096, 65_536]) {
      const session = connect(`http://127.0.0.1:${listener.port}`, { settings: { headerTableSize } });
      for (let call = 0; call < 40; call += 1) {
        const sent: Record<string, string> = {};
        for (let n = 0; n < 6; n += 1) {
          const length = Math.floor(random() * 90);
          sent[`x-${n}${"k".repeat(Math.floor(random() * 9))}`] = Array.from({ length }, () =>
            String.fromCharCode(33 + Math.floor(random() * 94)),
          ).join("");
        }
        const stream = session.request({
          [HTTP2_HEADER_METHOD]: "POST",
          [HTTP2_HEADER_PATH]: "/test.Text/Meta",
          "content-type": "application/grpc",
          ...sent,
        });
        stream.end(Buffer.alloc(5));
        stream.resume();
        const [trailers] = await once(stream, "trailers");
        assert.equal(trailers["grpc-status"], "0");
        for (const [key, value] of Object.entries(sent)) assert.equal(trailers[key] ?? "", value);
      }
      session.close();
      await once(session, "close");
    }
  });
});

describe("many calls at once", () => {
  it("all settle, whoever ends them, and nothing stays open", { timeout: 60_000 }, async (t) => {
    let handlers = 0;
    const counted = async <Result>(work: () => Promise<Result>): Promise<Result> => {
      handlers += 1;
      try {
        return await work();
      } finally {
        handlers -= 1;
      }
    };
    const { client, server, events } = await serve(t, [
      unary("Act", (request, call) =>
        counted(async () => {
          if (request === "fail") throw GrpcStatusError.of("ABORTED", "as asked");
          if (request === "wait" && !call.signal.aborted) await once(call.signal, "abort");
          return request;
        }),
      ),
      serverStreaming("Flow", (_request, call) =>
        counted(async () => {
          for (let n = 0; n < 200 && !call.signal.aborted; n += 1) {
            if (!call.write(`${n}${"x".repeat(500)}`)) await call.drained();
          }
        }),
      ),
      bidiStreaming("Talk", (call) =>
        counted(async () => {
          for await (const request of call.requests) call.write(request);
        }),
      ),
    ]);
    const random = seeded(20_251_123);
    const settled: Promise<unknown>[] = [];
    for (let n = 0; n < 600; n += 1) {
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
      if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, random() * 10));
    }
    await Promise.all(settled);
    await server.idle();
    assert.deepEqual([server.activeCalls, handlers], [0, 0]);
    assert.deepEqual(
      events.filter(({ t: kind }) => kind !== "handler-failed-late"),
      [],
    );
  });
});
