import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Call, endOf } from "../../rpc/call.ts";
import { bidiStreaming, serverStreaming, unary } from "../../rpc/service.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { createRpcServer } from "./rpc-server.ts";
import { readAll, recordingLog, serve, TextClient, text } from "./testing/rig.ts";

describe("a unary call", () => {
  it("answers, and carries metadata, headers and trailers", async (t) => {
    const echo = unary("Echo", text, text, async (request, call) => {
      call.sendHeaders();
      call.setTrailer("x-reason", "naïve\n");
      return `${request} ${call.metadata.get("x-who")} ${call.path} ${call.metadata.get("x-none")}`;
    });
    const { client } = await serve(t, [echo]);
    const { message, trailers } = await client.unary("Echo", "hello", { headers: { "x-who": "you" } });
    assert.equal(message, "hello you /test.Text/Echo undefined");
    assert.deepEqual(trailers.get("x-reason"), ["na?ve?"]);
  });

  it("knows the peer and the deadline", async (t) => {
    const facts = unary("Facts", text, text, async (_request, call) => JSON.stringify([call.peer, call.deadlineMs]));
    const { client } = await serve(t, [facts]);
    const deadline = Date.now() + 60_000;
    const [peer, seen] = JSON.parse((await client.unary("Facts", "", { deadline })).message);
    assert.match(peer, /^127\.0\.0\.1:\d+$/);
    assert.ok(Math.abs(seen - deadline) < 5_000, "the deadline travels as a duration");
    const [, none] = JSON.parse((await client.unary("Facts", "")).message);
    assert.equal(none, null);
  });

  it("fails with the status, sentence and trailers of a GrpcStatusError", async (t) => {
    const fail = unary("Fail", text, text, async () => {
      throw GrpcStatusError.of("RESOURCE_EXHAUSTED", "full: 100 % – ✓", {
        trailers: { "grpc-retry-pushback-ms": "50" },
      });
    });
    const { client, lines } = await serve(t, [fail]);
    const failure = await client.failure("Fail", "");
    assert.equal(failure.code, status.RESOURCE_EXHAUSTED);
    assert.equal(failure.details, "full: 100 % – ✓");
    assert.deepEqual(failure.metadata.get("grpc-retry-pushback-ms"), ["50"]);
    assert.deepEqual(lines, []);
  });

  it("knows a status error of another copy of the class by its shape", async (t) => {
    const fail = unary("Fail", text, text, async () => {
      throw Object.assign(new Error("no such thing"), { name: "GrpcStatusError", code: 5, trailers: { "x-a": "b" } });
    });
    const { client } = await serve(t, [fail]);
    const failure = await client.failure("Fail", "");
    assert.deepEqual([failure.code, failure.details], [status.NOT_FOUND, "no such thing"]);
    assert.deepEqual(failure.metadata.get("x-a"), ["b"]);
  });

  it("ends INTERNAL with an id that is in the log when a handler has a bug, and hides the bug's text", async (t) => {
    const bug = unary("Bug", text, text, () => {
      throw new TypeError("secret is undefined");
    });
    const { client, lines } = await serve(t, [bug]);
    const failure = await client.failure("Bug", "");
    assert.equal(failure.code, status.INTERNAL);
    const id = /^internal error, id ([0-9a-f]{8}); it is in the server's log$/.exec(failure.details)?.[1];
    assert.ok(id, failure.details);
    const line = lines.find((candidate) => candidate.id === id);
    assert.equal(line?.level, "error");
    assert.match(line?.err?.stack ?? "", /secret is undefined[\s\S]*rpc-server\.test\.ts/);
  });

  it("takes a response that cannot be encoded, and a trailer that cannot be sent, as bugs", async (t) => {
    const broken = { encode: () => assert.fail("cannot encode") };
    const response = unary("Response", text, broken, async () => "x");
    const trailer = unary("Trailer", text, text, async () => {
      throw GrpcStatusError.of("NOT_FOUND", "gone", { trailers: { Connection: "close" } });
    });
    const { client, lines } = await serve(t, [response, trailer]);
    for (const method of ["Response", "Trailer"]) {
      const failure = await client.failure(method, "");
      assert.equal(failure.code, status.INTERNAL, method);
    }
    assert.equal(lines.filter((line) => line.level === "error").length, 2);
  });

  it("sends sentences that no header could carry", async (t) => {
    const fail = unary("Fail", text, text, async (request) => {
      throw GrpcStatusError.of("INVALID_ARGUMENT", request === "lone" ? "half a pair: \ud800." : "é ".repeat(50_000));
    });
    const { client } = await serve(t, [fail]);
    assert.equal((await client.failure("Fail", "lone")).details, "half a pair: \ufffd.");
    const { code, details } = await client.failure("Fail", "long");
    assert.equal(code, status.INVALID_ARGUMENT);
    assert.ok(details.startsWith("é é ") && details.endsWith("…") && details.length < 4096);
  });

  it("answers INVALID_ARGUMENT with the decoder's words to bytes that are no message", async (t) => {
    const echo = unary("Echo", text, text, async (request) => request);
    const stream = serverStreaming("Stream", text, text, async () => assert.fail("never runs"));
    const { client, lines } = await serve(t, [echo, stream]);
    const sentence = "the request is not a valid protobuf message: premature end of the message";
    const failure = await client.failure("Echo", "!");
    assert.deepEqual([failure.code, failure.details], [status.INVALID_ARGUMENT, sentence]);
    const streamed = await readAll(client.stream("Stream", "!"));
    assert.deepEqual([streamed.failure?.code, streamed.failure?.details], [status.INVALID_ARGUMENT, sentence]);
    assert.deepEqual(lines, []);
  });

  it("fails UNIMPLEMENTED for a method or service that is not there", async (t) => {
    const { client } = await serve(t, [unary("Echo", text, text, async (request) => request)]);
    assert.equal((await client.failure("Nothing", "")).code, status.UNIMPLEMENTED);
    assert.equal((await client.failure("Echo", "", { service: "test.Other" })).code, status.UNIMPLEMENTED);
  });

  it("fails RESOURCE_EXHAUSTED beyond the message bound, and has no bound at -1", async (t) => {
    const length = unary("Length", text, text, async (request) => String(request.length));
    const bounded = await serve(t, [length], { maxReceiveMessageBytes: 1_000 });
    assert.equal((await bounded.client.unary("Length", "x".repeat(1_000))).message, "1000");
    const failure = await bounded.client.failure("Length", "x".repeat(1_001));
    assert.equal(failure.code, status.RESOURCE_EXHAUSTED);
    assert.match(failure.details, /1001.*1000/);
    const boundless = await serve(t, [length], { maxReceiveMessageBytes: -1 });
    assert.equal((await boundless.client.unary("Length", "x".repeat(5_000_000))).message, "5000000");
    const { log } = recordingLog();
    for (const bytes of [0, -2, 1.5, Number.NaN]) {
      assert.throws(() => createRpcServer({ log, maxReceiveMessageBytes: bytes }), RangeError);
    }
  });

  it("is not heard on a connection that is one too many, and waits where its connection has calls enough", async (t) => {
    const release = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const order: string[] = [];
    const slow = unary("Slow", text, text, async (request) => {
      order.push(request);
      begun.resolve();
      if (request === "first") await release.promise;
      return request;
    });
    const { client, port } = await serve(t, [slow], { maxConnections: 1, maxConcurrentStreams: 1 });
    const first = client.unary("Slow", "first");
    await begun.promise;
    const second = client.unary("Slow", "second");
    const stranger = new TextClient(port);
    t.after(() => stranger.close());
    assert.equal((await stranger.failure("Slow", "stranger")).code, status.UNAVAILABLE);
    assert.deepEqual(order, ["first"]);
    release.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(order, ["first", "second"]);
  });

  it("fires the signal DEADLINE_EXCEEDED when the deadline passes, and drops what the handler answers then", async (t) => {
    const ended = Promise.withResolvers<Call>();
    const wait = unary("Wait", text, text, async (_request, call) => {
      await once(call.signal, "abort");
      ended.resolve(call);
      return "too late";
    });
    const { client, server } = await serve(t, [wait]);
    assert.equal((await client.failure("Wait", "", { deadline: Date.now() + 80 })).code, status.DEADLINE_EXCEEDED);
    const call = await ended.promise;
    // The client's own timer may be the first to end the call; the server then sees a cancellation.
    assert.ok(["DEADLINE_EXCEEDED", "CANCELLED"].includes(nameOf(endOf(call))));
    await server.idle();
  });

  it("is not cut short by a handler that never looked at its signal before the end", async (t) => {
    const calls: Call[] = [];
    const echo = unary("Echo", text, text, async (request, call) => {
      calls.push(call);
      return request;
    });
    const { client, server } = await serve(t, [echo]);
    await client.unary("Echo", "x");
    await server.idle();
    assert.equal(calls[0]?.signal.aborted, false, "an answered call was not cut");
  });
});

describe("a server-streaming call", () => {
  it("delivers everything in order to a slow reader, and holds the writer back", async (t) => {
    const total = 3_000;
    const filler = "·".repeat(200);
    const held = Promise.withResolvers<number>();
    let fullWrites = 0;
    const count = serverStreaming("Count", text, text, async (_request, call) => {
      for (let i = 0; i < total; i += 1) {
        if (call.write(`${i} ${filler}`)) continue;
        fullWrites += 1;
        held.resolve(i);
        await call.drained();
      }
    });
    const { client } = await serve(t, [count]);
    const stream = client.stream("Count", "");
    stream.pause();
    assert.ok((await held.promise) < total - 1, "nobody read yet, so the writer was stopped early");
    const { messages, failure } = await readAll(stream);
    assert.equal(failure, undefined);
    assert.deepEqual(
      messages.map((message) => Number.parseInt(message, 10)),
      Array.from({ length: total }, (_, i) => i),
    );
    assert.ok(fullWrites > 1);
  });

  it("sends what was written before the status of a failure", async (t) => {
    const some = serverStreaming("Some", text, text, async (_request, call) => {
      call.write("a");
      call.write("b");
      throw GrpcStatusError.of("UNAVAILABLE", "the engine died");
    });
    const { client } = await serve(t, [some]);
    const { messages, failure } = await readAll(client.stream("Some", ""));
    assert.deepEqual(messages, ["a", "b"]);
    assert.deepEqual([failure?.code, failure?.details], [status.UNAVAILABLE, "the engine died"]);
  });

  it("fires the signal CANCELLED when the client cancels; writing is then refused and drained() does not hang", async (t) => {
    const over = Promise.withResolvers<{ code: string; wrote: boolean }>();
    const endless = serverStreaming("Endless", text, text, async (_request, call) => {
      while (!call.signal.aborted) if (!call.write("x".repeat(1_000))) await call.drained();
      await call.drained();
      over.resolve({ code: nameOf(endOf(call)), wrote: call.write("more") });
    });
    const { client, server } = await serve(t, [endless]);
    const stream = client.stream("Endless", "");
    stream.on("error", () => undefined);
    await once(stream, "data");
    stream.pause();
    stream.cancel();
    assert.deepEqual(await over.promise, { code: "CANCELLED", wrote: false });
    await server.idle();
    assert.equal(server.activeCalls, 0);
  });

  it("fires the signal when the client's connection breaks", async (t) => {
    const over = Promise.withResolvers<string>();
    const endless = serverStreaming("Endless", text, text, async (_request, call) => {
      call.write("x");
      await once(call.signal, "abort");
      over.resolve(nameOf(endOf(call)));
    });
    const { client } = await serve(t, [endless]);
    const stream = client.stream("Endless", "");
    stream.on("error", () => undefined);
    await once(stream, "data");
    client.close();
    stream.cancel();
    assert.equal(await over.promise, "CANCELLED");
  });

  it("fires the signal at the deadline although the client has stopped reading", async (t) => {
    const over = Promise.withResolvers<string>();
    const endless = serverStreaming("Endless", text, text, async (_request, call) => {
      while (!call.signal.aborted) if (!call.write("x".repeat(10_000))) await call.drained();
      over.resolve(nameOf(endOf(call)));
    });
    const { client } = await serve(t, [endless]);
    const stream = client.stream("Endless", "", { deadline: Date.now() + 100 });
    stream.pause();
    const failed = once(stream, "error");
    assert.ok(["DEADLINE_EXCEEDED", "CANCELLED"].includes(await over.promise));
    stream.resume();
    const [error] = await failed;
    assert.equal(error.code, status.DEADLINE_EXCEEDED);
  });

  it("logs a bug that shows only after the client has gone, and does not call it internal", async (t) => {
    const finished = Promise.withResolvers<void>();
    const late = serverStreaming("Late", text, text, async (_request, call) => {
      call.write("x");
      await once(call.signal, "abort");
      finished.resolve();
      throw new Error("clean-up failed");
    });
    const { client, server, lines } = await serve(t, [late]);
    const stream = client.stream("Late", "");
    stream.on("error", () => undefined);
    await once(stream, "data");
    stream.cancel();
    await finished.promise;
    await server.idle();
    assert.deepEqual(
      lines.map((line) => [line.level, line.err?.message]),
      [["debug", "clean-up failed"]],
    );
  });

  it("shares one wait among many drained()", async (t) => {
    const same = Promise.withResolvers<boolean>();
    const full = serverStreaming("Full", text, text, async (_request, call) => {
      while (call.write("x".repeat(50_000)));
      const [one, other] = [call.drained(), call.drained()];
      same.resolve(one === other);
      await call.drained();
    });
    const { client } = await serve(t, [full]);
    const { failure } = await readAll(client.stream("Full", ""));
    assert.equal(failure, undefined);
    assert.equal(await same.promise, true);
  });
});

describe("a bidirectional call", () => {
  const echo = bidiStreaming<string, string>("Echo", text, text, async (call) => {
    for await (const request of call.requests) if (!call.write(request.toUpperCase())) await call.drained();
  });

  it("answers each message as it comes and ends when the client half-closes", async (t) => {
    const { client } = await serve(t, [echo]);
    const stream = client.bidi("Echo");
    const answers: string[] = [];
    for (const word of ["one", "two", "three"]) {
      stream.write(word);
      const [answer] = await once(stream, "data");
      answers.push(answer);
    }
    stream.end();
    await once(stream, "end");
    assert.deepEqual(answers, ["ONE", "TWO", "THREE"]);
  });

  it("takes many messages sent at once, in order", async (t) => {
    const { client } = await serve(t, [echo]);
    const stream = client.bidi("Echo");
    const sent = Array.from({ length: 500 }, (_, i) => `m${i}`);
    for (const word of sent) stream.write(word);
    stream.end();
    const { messages } = await readAll(stream);
    assert.deepEqual(
      messages,
      sent.map((word) => word.toUpperCase()),
    );
  });

  it("fails INVALID_ARGUMENT at a message that does not decode", async (t) => {
    const { client } = await serve(t, [echo]);
    const stream = client.bidi("Echo");
    stream.write("fine");
    stream.write("!");
    const { messages, failure } = await readAll(stream);
    assert.deepEqual(messages, ["FINE"]);
    assert.equal(failure?.code, status.INVALID_ARGUMENT);
  });

  it("throws CANCELLED out of the requests when the client goes away", async (t) => {
    const thrown = Promise.withResolvers<unknown>();
    const wait = bidiStreaming<string, string>("Wait", text, text, async (call) => {
      call.write("here");
      try {
        for await (const _ of call.requests);
      } catch (error) {
        thrown.resolve(error);
        throw error;
      }
    });
    const { client, server } = await serve(t, [wait]);
    const stream = client.bidi("Wait");
    stream.on("error", () => undefined);
    await once(stream, "data");
    stream.cancel();
    assert.equal(nameOf(await thrown.promise), "CANCELLED");
    await server.idle();
  });
});

describe("bytes from strangers", () => {
  it("do no harm to the calls of others", async (t) => {
    const echo = unary("Echo", text, text, async (request) => request);
    const { client, port } = await serve(t, [echo]);
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (const garbage of ["GET / HTTP/1.1\r\n\r\n", "\u0000".repeat(100), preface + "\u00ff".repeat(200), preface]) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => undefined);
      await once(socket, "connect");
      socket.write(Buffer.from(garbage, "latin1"));
      socket.resetAndDestroy();
      await once(socket, "close");
      assert.equal((await client.unary("Echo", "still here")).message, "still here");
    }
  });
});

describe("a connection that breaks a rule", () => {
  it("is ended, and the log says why to those who look closely", async (t) => {
    const { server, port, lines } = await serve(t, [unary("Echo", text, text, async (request) => request)]);
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.resume();
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(socket, "close");
    await server.close("over");
    assert.deepEqual(
      lines.map(({ level, reason }) => [level, reason]),
      [["debug", "connection-failed"]],
    );
  });
});

function nameOf(thrown: unknown): string {
  return thrown instanceof GrpcStatusError ? (status[thrown.code] ?? "?") : String(thrown);
}
