import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readAll } from "../testing/grpc-js-client.ts";
import { serve } from "../testing/rig.ts";
import { bidiStreaming, clientStreaming, serverPush, serverStreaming, unary } from "./define-method.ts";

/** Texts for requests and numbers for responses, with the methods that generated messages have. */
const Text = { decode: (bytes: Uint8Array): string => Buffer.from(bytes).toString() };
const Count = { encode: (count: number) => ({ finish: () => Buffer.from(String(count)) }) };

describe("methods defined from generated messages", () => {
  it("know the types of their messages, and serve all four kinds", async (t) => {
    const { client, server } = await serve(t, [
      unary("Length", Text, Count, (text) => text.length),
      serverStreaming("Codes", Text, Count, async (text, call) => {
        for (const character of text) call.write(character.charCodeAt(0));
      }),
      serverPush("Reversed", Text, Count, (text, call) => {
        for (const character of [...text].reverse()) call.write(character.charCodeAt(0));
        call.end();
      }),
      clientStreaming("Sum", Text, Count, async (call) => {
        let sum = 0;
        for await (const text of call.requests) sum += text.length;
        return sum;
      }),
      bidiStreaming("Lengths", Text, Count, async (call) => {
        for await (const text of call.requests) call.write(text.length);
      }),
    ]);
    assert.equal((await client.unary("Length", "four")).message, "4");
    assert.deepEqual((await readAll(client.stream("Codes", "ab"))).messages, ["97", "98"]);
    assert.deepEqual((await readAll(client.stream("Reversed", "ab"))).messages, ["98", "97"]);
    assert.equal(await client.collect("Sum", ["a", "bc"]), "3");
    const talk = client.bidi("Lengths");
    talk.write("one");
    talk.end("three");
    assert.deepEqual((await readAll(talk)).messages, ["3", "5"]);
    await server.idle();
  });

  it("may write their messages themselves and be open-ended", async (t) => {
    const never = { encode: () => assert.fail("encodeInto is used in its place") };
    const released = Promise.withResolvers<void>();
    const { client, server } = await serve(t, [
      unary<string, number>("Length", Text, never, (text) => text.length, {
        encodeInto: (length, writer) => {
          writer.reserve(1);
          writer.bytes[writer.at] = 48 + length;
          writer.at += 1;
        },
      }),
      serverStreaming("Watch", Text, Count, () => released.promise, { openEnded: true }),
    ]);
    assert.equal((await client.unary("Length", "four")).message, "4");
    const watch = client.stream("Watch", "");
    while (server.activeCalls === 0) await new Promise((resolve) => setImmediate(resolve));
    await server.idle();
    released.resolve();
    assert.deepEqual((await readAll(watch)).messages, []);
  });
});
