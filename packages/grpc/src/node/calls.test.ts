import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { GrpcStatusError } from "../rpc/status.ts";
import { readAll } from "../testing/grpc-js-client.ts";
import { serve } from "../testing/rig.ts";
import { bidiStreaming, clientStreaming, serverStreaming, unary } from "../testing/text-service.ts";

describe("a unary call", () => {
  it("is answered by a handler that answers at once and by one that answers later", async (t) => {
    const { client, server } = await serve(t, [unary("Now", (text) => text), unary("Later", async (text) => text)]);
    assert.equal((await client.unary("Now", "a")).message, "a");
    assert.equal((await client.unary("Later", "")).message, "");
    const large = "x".repeat(1_000_000);
    assert.equal((await client.unary("Now", large)).message, large);
    assert.equal((await client.unary("Later", large)).message, large);
    assert.equal(server.activeCalls, 0);
  });

  it("carries metadata both ways, texts and bytes", async (t) => {
    const bytes = Buffer.from([0, 1, 255, 254]);
    const { client } = await serve(t, [
      unary("Meta", (_text, call) => {
        assert.equal(call.path, "/test.Text/Meta");
        assert.match(call.peer, /^127\.0\.0\.1:\d+$/);
        assert.equal(call.deadlineMs, undefined);
        assert.deepEqual(call.metadata.getAll("x-list"), ["a", "b"]);
        assert.deepEqual(call.metadata.getBinary("x-bytes-bin"), [bytes]);
        assert.equal(call.metadata.get("nobody"), undefined);
        call.setHeader("x-header", "h");
        call.setTrailer("x-trailer", ["t", "u"]);
        call.setTrailer("x-trailer-bin", bytes);
        return "";
      }),
    ]);
    const metadata = new Metadata();
    metadata.add("x-list", "a");
    metadata.add("x-list", "b");
    metadata.add("x-bytes-bin", bytes);
    const { headers, trailers } = await client.unary("Meta", "", { metadata });
    assert.deepEqual(headers.get("x-header"), ["h"]);
    assert.deepEqual(trailers.get("x-trailer"), ["t, u"]);
    assert.deepEqual(trailers.get("x-trailer-bin"), [bytes]);
  });

  it("ends with the status that its handler throws, with details, metadata and any characters", async (t) => {
    const details = "no such Modell: “größer” 100 % 🙂\n";
    const { client, events } = await serve(t, [
      unary("Fail", () => {
        const trailers = { "x-why": "because", "grpc-status-details-bin": Buffer.from("detail") };
        throw GrpcStatusError.of("NOT_FOUND", details, { trailers });
      }),
      unary("Foreign", async () => {
        throw Object.assign(new Error("from another copy"), { name: "GrpcStatusError", code: 8, trailers: { a: "b" } });
      }),
    ]);
    const failure = await client.failure("Fail", "");
    assert.deepEqual([failure.code, failure.details], [status.NOT_FOUND, details]);
    assert.deepEqual(failure.metadata.get("x-why"), ["because"]);
    assert.deepEqual(failure.metadata.get("grpc-status-details-bin"), [Buffer.from("detail")]);
    const foreign = await client.failure("Foreign", "");
    assert.deepEqual([foreign.code, foreign.details, foreign.metadata.get("a")], [8, "from another copy", ["b"]]);
    assert.deepEqual(events, []);
  });

  it("ends INTERNAL with an id that the log has when its handler has a bug", async (t) => {
    const { client, events } = await serve(t, [
      unary("Sync", () => {
        throw new TypeError("a secret");
      }),
      unary("Encode", () => 5 as unknown as string),
    ]);
    for (const method of ["Sync", "Encode"]) {
      const failure = await client.failure(method, "");
      const event = events.shift();
      assert.ok(event?.t === "handler-failed");
      assert.equal(failure.code, status.INTERNAL);
      assert.equal(failure.details, `internal error, id ${event.id}; it is in the server's log`);
    }
  });

  it("ends INVALID_ARGUMENT when its request cannot be decoded, and UNIMPLEMENTED without a method", async (t) => {
    const text = unary("Text", (request) => request);
    const strict = {
      ...text,
      decodeRequest: () => {
        throw new Error("index out of range");
      },
    };
    const { client } = await serve(t, [strict]);
    const failure = await client.failure("Text", "x");
    assert.equal(failure.code, status.INVALID_ARGUMENT);
    assert.equal(failure.details, "the request is not a valid message: index out of range");
    assert.equal((await client.failure("Nobody", "")).code, status.UNIMPLEMENTED);
    assert.equal((await client.failure("/no.Service/Text", "")).code, status.UNIMPLEMENTED);
  });

  it("ends RESOURCE_EXHAUSTED when its request is larger than the bound", async (t) => {
    const limits = { maxReceiveMessageBytes: 1_000 };
    const { client } = await serve(t, [unary("Echo", (text) => text)], { limits });
    assert.equal((await client.unary("Echo", "x".repeat(1_000))).message.length, 1_000);
    for (const size of [1_001, 100_000]) {
      assert.equal((await client.failure("Echo", "x".repeat(size))).code, status.RESOURCE_EXHAUSTED);
    }
  });

  it("is compressed with gzip when both sides want it", async (t) => {
    const { client } = await serve(t, [
      unary("Zip", (text, call) => {
        call.compress();
        return text;
      }),
    ]);
    const text = "again and again ".repeat(10_000);
    const { message, headers } = await client.unary("Zip", text);
    assert.equal(message, text);
    assert.deepEqual(headers.get("grpc-encoding"), []);
  });
});

describe("the signal of a call", () => {
  const waits = (name: string, ends: unknown[]) =>
    unary(name, async (_text, call) => {
      if (!call.signal.aborted) await once(call.signal, "abort");
      ends.push(call.signal.reason.code);
      throw new Error("an aborted wait");
    });

  it("fires with DEADLINE_EXCEEDED when the deadline passes, and the client hears the same", async (t) => {
    const ends: unknown[] = [];
    const { client, server, events } = await serve(t, [waits("Wait", ends)]);
    const failure = await client.failure("Wait", "", { deadline: Date.now() + 50 });
    assert.equal(failure.code, status.DEADLINE_EXCEEDED);
    await server.idle();
    assert.deepEqual(ends, [status.DEADLINE_EXCEEDED]);
    assert.deepEqual(
      events.map(({ t }) => t),
      ["handler-failed-late"],
    );
  });

  it("fires with CANCELLED when the client cancels", async (t) => {
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<unknown>();
    const { client, server } = await serve(t, [
      serverStreaming("Wait", async (_text, call) => {
        call.signal.addEventListener("abort", () => ended.resolve(call.signal.reason.code));
        call.write("first");
        begun.resolve();
        await ended.promise;
        assert.equal(call.write("late"), false);
        await call.drained();
      }),
    ]);
    const stream = client.stream("Wait", "");
    const read = readAll(stream);
    await begun.promise;
    stream.cancel();
    assert.equal(await ended.promise, status.CANCELLED);
    assert.equal((await read).failure?.code, status.CANCELLED);
    await server.idle();
    assert.equal(server.activeCalls, 0);
  });
});

describe("a streaming call", () => {
  it("takes a stream of requests", async (t) => {
    const { client } = await serve(t, [
      clientStreaming("Join", async (call) => {
        const texts: string[] = [];
        for await (const text of call.requests) texts.push(text);
        return texts.join("|");
      }),
      clientStreaming("First", async (call) => {
        for await (const text of call.requests) return text;
        return "none";
      }),
    ]);
    assert.equal(await client.collect("Join", ["a", "", "c"]), "a||c");
    assert.equal(await client.collect("Join", []), "");
    assert.equal(await client.collect("First", ["a", "b"]), "a");
    const many = Array.from({ length: 3_000 }, (_, n) => `${n}${"x".repeat(n % 700)}`);
    assert.equal(await client.collect("Join", many), many.join("|"));
  });

  it("talks in both directions at its own pace", async (t) => {
    const { client } = await serve(t, [
      bidiStreaming("Echo", async (call) => {
        call.sendHeaders();
        for await (const text of call.requests) call.write(`${text}!`);
        call.write("bye");
      }),
    ]);
    const stream = client.bidi("Echo");
    for (const text of ["a", "b", "c"]) {
      stream.write(text);
      assert.deepEqual(await once(stream, "data"), [`${text}!`]);
    }
    const read = readAll(stream);
    stream.end();
    assert.deepEqual((await read).messages, ["bye"]);
  });

  it("holds a client that sends faster than the handler reads", async (t) => {
    const go = Promise.withResolvers<void>();
    let read = 0;
    const { client } = await serve(t, [
      clientStreaming("Slow", async (call) => {
        await go.promise;
        for await (const text of call.requests) read += text.length;
        return String(read);
      }),
    ]);
    const sent = client.collect(
      "Slow",
      Array.from({ length: 400 }, () => "x".repeat(10_000)),
    );
    const refused = await Promise.race([sent, new Promise((resolve) => setTimeout(() => resolve("held"), 100))]);
    assert.equal(refused, "held");
    go.resolve();
    assert.equal(await sent, "4000000");
  });

  it("ends with a status behind the messages written before", async (t) => {
    const { client } = await serve(t, [
      serverStreaming("Some", async (_text, call) => {
        for (let n = 0; n < 5_000; n += 1) call.write(`${n}`);
        call.setTrailer("x-count", "5000");
        throw GrpcStatusError.of("ABORTED", "enough");
      }),
      serverStreaming("None", async () => undefined),
    ]);
    const { messages, failure } = await readAll(client.stream("Some", ""));
    assert.equal(failure?.details, "enough");
    assert.deepEqual(failure?.metadata.get("x-count"), ["5000"]);
    assert.deepEqual(
      messages,
      Array.from({ length: 5_000 }, (_, n) => `${n}`),
    );
    assert.deepEqual(await readAll(client.stream("None", "")), { messages: [], failure: undefined });
  });

  it("may write straight into the output, however large the message turns out", async (t) => {
    const method = serverStreaming("Into", async (_text, call) => {
      for (let n = 0; n < 3_000; n += 1) if (!call.write(String(n % 1_000).repeat(n))) await call.drained();
    });
    const into = {
      ...method,
      encodeInto: (message: unknown, writer: { bytes: Uint8Array; at: number; reserve(size: number): void }) => {
        for (const character of message as string) {
          writer.reserve(1);
          writer.bytes[writer.at] = character.charCodeAt(0);
          writer.at += 1;
        }
      },
    };
    const { client } = await serve(t, [into]);
    const { messages, failure } = await readAll(client.stream("Into", ""));
    assert.equal(failure, undefined);
    assert.deepEqual(
      messages,
      Array.from({ length: 3_000 }, (_, n) => String(n % 1_000).repeat(n)),
    );
  });
});
