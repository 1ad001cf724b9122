import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import type { Interceptor } from "../rpc/interceptor.ts";
import type { CallEnd, CallObserver } from "../rpc/observer.ts";
import { GrpcStatusError, StatusCode } from "../rpc/status.ts";
import { readAll } from "../testing/grpc-js-client.ts";
import { serve } from "../testing/rig.ts";
import { bidiStreaming, clientStreaming, serverPush, serverStreaming, unary } from "../testing/text-service.ts";

const methods = [
  unary("Echo", (text) => text),
  unary("Fail", () => {
    throw GrpcStatusError.of("ABORTED", "as asked");
  }),
  unary("Break", () => {
    throw new Error("a bug");
  }),
  unary("Wait", async (text, { signal }) => {
    if (!signal.aborted) await once(signal, "abort");
    return text;
  }),
  serverStreaming("Count", async (text, call) => {
    for (let n = 0; n < Number(text); n += 1) call.write(String(n));
  }),
  serverPush("Push", (text, call) => {
    call.write(text);
    setImmediate(() => call.end());
  }),
  clientStreaming("Join", async (call) => {
    const texts: string[] = [];
    for await (const text of call.requests) texts.push(text);
    return texts.join(" ");
  }),
  bidiStreaming("Talk", async (call) => {
    for await (const text of call.requests) call.write(text);
  }),
];

describe("an observer", () => {
  /** Hears ends as they come, and says what it heard of each call. */
  const recording = () => {
    const heard: (Omit<CallEnd, "durationMs"> & { readonly path: string })[] = [];
    let told = Promise.withResolvers<void>();
    const observer: CallObserver = {
      callBegan: ({ path }) => {
        return ({ durationMs, ...end }) => {
          assert.ok(durationMs >= 0);
          heard.push({ path: path.replace("/test.Text/", ""), ...end });
          told.resolve();
        };
      },
    };
    const next = async () => {
      while (heard.length === 0) {
        await told.promise;
        told = Promise.withResolvers();
      }
      const { path, code, ...counts } = heard.shift() as (typeof heard)[number];
      const { requestMessages, requestBytes, responseMessages, responseBytes } = counts;
      return [path, code, requestMessages, requestBytes, responseMessages, responseBytes];
    };
    return { observer, next, heard };
  };

  it("hears how each call went, with what was sent and received", async (t) => {
    const { observer, next, heard } = recording();
    const { client, server } = await serve(t, methods, { observer });
    await client.unary("Echo", "four");
    assert.deepEqual(await next(), ["Echo", StatusCode.OK, 1, 4, 1, 4]);
    await client.failure("Fail", "12");
    assert.deepEqual(await next(), ["Fail", StatusCode.ABORTED, 1, 2, 0, 0]);
    await client.failure("Break", "");
    assert.deepEqual(await next(), ["Break", StatusCode.INTERNAL, 1, 0, 0, 0]);
    await readAll(client.stream("Count", "12"));
    assert.deepEqual(await next(), ["Count", StatusCode.OK, 1, 2, 12, 14]);
    await readAll(client.stream("Push", "12"));
    assert.deepEqual(await next(), ["Push", StatusCode.OK, 1, 2, 1, 2]);
    await client.collect("Join", ["a", "bc", ""]);
    assert.deepEqual(await next(), ["Join", StatusCode.OK, 3, 3, 1, 5]);
    const talk = client.bidi("Talk");
    talk.write("1");
    await once(talk, "data");
    talk.end("23");
    await readAll(talk);
    assert.deepEqual(await next(), ["Talk", StatusCode.OK, 2, 3, 2, 3]);
    await client.failure("Wait", "", { deadline: Date.now() + 20 });
    assert.deepEqual(await next(), ["Wait", StatusCode.DEADLINE_EXCEEDED, 1, 0, 0, 0]);
    const cancelled = client.bidi("Talk");
    const read = readAll(cancelled);
    cancelled.write("x");
    await once(cancelled, "data");
    cancelled.cancel();
    await read;
    assert.deepEqual(await next(), ["Talk", StatusCode.CANCELLED, 1, 1, 1, 1]);
    server.refuseNewCalls("going");
    await client.failure("Echo", "late");
    assert.deepEqual(await next(), ["Echo", StatusCode.UNAVAILABLE, 0, 0, 0, 0]);
    assert.deepEqual(heard, []);
  });

  it("hears nothing of methods that there are not, and may turn calls down", async (t) => {
    const asked: string[] = [];
    const callBegan: CallObserver["callBegan"] = ({ path }) => {
      asked.push(path);
      return undefined;
    };
    const { client } = await serve(t, methods, { observer: { callBegan } });
    await client.failure("Nothing", "");
    await client.unary("Echo", "a");
    assert.deepEqual(asked, ["/test.Text/Echo"]);
  });

  it("that throws harms no call, and the log hears of it", async (t) => {
    for (const atBegin of [true, false]) {
      const throws = () => {
        throw new Error("no room");
      };
      const { client, events } = await serve(t, methods, { observer: { callBegan: atBegin ? throws : () => throws } });
      assert.equal((await client.unary("Echo", "a")).message, "a");
      assert.deepEqual(
        events.map((event) => [event.t, event.t === "observer-failed" && event.path]),
        [["observer-failed", "/test.Text/Echo"]],
      );
    }
  });
});

describe("interceptors", () => {
  it("stand around the handlers of every kind, the first outermost", async (t) => {
    const steps: string[] = [];
    const named =
      (name: string): Interceptor =>
      async (_call, method, next) => {
        steps.push(`${name} before ${method.name}`);
        const answer = await next();
        steps.push(`${name} behind ${method.name}`);
        return answer;
      };
    const { client } = await serve(t, methods, { interceptors: [named("outer"), named("inner")] });
    const around = (method: string) => [
      `outer before ${method}`,
      `inner before ${method}`,
      `inner behind ${method}`,
      `outer behind ${method}`,
    ];
    assert.equal((await client.unary("Echo", "a")).message, "a");
    assert.deepEqual((await readAll(client.stream("Count", "2"))).messages, ["0", "1"]);
    assert.deepEqual((await readAll(client.stream("Push", "2"))).messages, ["2"]);
    assert.equal(await client.collect("Join", ["a", "b"]), "a b");
    const talk = client.bidi("Talk");
    talk.end("hello");
    assert.deepEqual((await readAll(talk)).messages, ["hello"]);
    assert.deepEqual(steps, ["Echo", "Count", "Push", "Join", "Talk"].flatMap(around));
  });

  it("may refuse a call, add metadata and change an answer", async (t) => {
    const guard: Interceptor = (call, _method, next) => {
      if (call.metadata.get("authorization") === undefined) throw GrpcStatusError.of("UNAUTHENTICATED", "who are you?");
      call.setTrailer("x-checked", "yes");
      const answer = next();
      return typeof answer === "string" ? answer.toUpperCase() : answer;
    };
    const { client } = await serve(t, methods, { interceptors: [guard] });
    assert.equal((await client.failure("Echo", "a")).code, StatusCode.UNAUTHENTICATED);
    assert.equal((await readAll(client.stream("Count", "2"))).failure?.code, StatusCode.UNAUTHENTICATED);
    const metadata = new Metadata();
    metadata.set("authorization", "me");
    const { message, trailers } = await client.unary("Echo", "a", { metadata });
    assert.deepEqual([message, trailers.get("x-checked")], ["A", ["yes"]]);
  });
});
