import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import type { PushedCall } from "../rpc/call.ts";
import type { Interceptor } from "../rpc/interceptor.ts";
import { GrpcStatusError } from "../rpc/status.ts";
import { readAll } from "../testing/grpc-js-client.ts";
import { serve } from "../testing/rig.ts";
import { serverPush, unary } from "../testing/text-service.ts";

type Call = PushedCall<string>;

/** A method whose calls the test answers. */
function handedOn() {
  const calls: Call[] = [];
  let came = Promise.withResolvers<void>();
  const method = serverPush("Push", (text, call) => {
    call.write(`to ${text}`);
    calls.push(call);
    came.resolve();
  });
  /** The next call, once its handler has returned. */
  const next = async (): Promise<Call> => {
    while (calls.length === 0) {
      await came.promise;
      came = Promise.withResolvers();
    }
    return calls.shift() as Call;
  };
  return { method, next };
}

const passing: Interceptor = (_call, _method, next) => next();

for (const interceptors of [[], [passing, passing]]) {
  describe(`a pushed answer${interceptors.length > 0 ? " behind interceptors" : ""}`, () => {
    it("goes on when its handler has returned, until it is ended, once", async (t) => {
      const { method, next } = handedOn();
      const { client, server, events } = await serve(t, [method], { interceptors });
      const answer = client.stream("Push", "me");
      const read = readAll(answer);
      const call = await next();
      await once(answer, "data");
      call.setTrailer("x-last", "words");
      assert.equal(call.write("more"), true);
      assert.equal(server.activeCalls, 1);
      call.end();
      call.end();
      call.fail(new Error("too late"));
      const { messages, failure } = await read;
      assert.deepEqual([messages, failure], [["to me", "more"], undefined]);
      await server.idle();
      assert.equal(call.write("nobody hears"), false);
      assert.deepEqual(events, []);
    });

    it("fails with the status of an error, and INTERNAL for others, which the log has", async (t) => {
      const { method, next } = handedOn();
      const { client, server, events } = await serve(t, [method], { interceptors });
      const ended = readAll(client.stream("Push", "me"));
      (await next()).fail(GrpcStatusError.of("ABORTED", "as asked"));
      assert.deepEqual([(await ended).failure?.code, (await ended).failure?.details], [status.ABORTED, "as asked"]);
      const broken = readAll(client.stream("Push", "me"));
      (await next()).fail(new Error("a bug"));
      assert.equal((await broken).failure?.code, status.INTERNAL);
      assert.deepEqual(
        events.map(({ t }) => t),
        ["handler-failed"],
      );
      await server.idle();
    });

    it("that is cancelled says so once and is over, whether it is ended or not", async (t) => {
      const { method, next } = handedOn();
      const { client, server, events } = await serve(t, [method], { interceptors });
      for (const says of ["nothing", "end", "fail"] as const) {
        const answer = client.stream("Push", "me");
        const read = readAll(answer);
        const call = await next();
        const told = Promise.withResolvers<void>();
        let times = 0;
        call.onCancelled(() => {
          times += 1;
          if (says === "end") call.end();
          if (says === "fail") call.fail(call.signal.reason);
          told.resolve();
        });
        answer.cancel();
        await told.promise;
        assert.equal((await read).failure?.code, status.CANCELLED);
        await server.idle();
        call.end();
        assert.deepEqual([times, call.write("x"), call.signal.aborted], [1, false, true]);
      }
      assert.deepEqual(events, []);
    });

    it("has the status of what its handler throws", async (t) => {
      const refuse = serverPush("Push", () => {
        throw GrpcStatusError.of("NOT_FOUND", "nobody");
      });
      const { client, server } = await serve(t, [refuse], { interceptors });
      assert.equal((await readAll(client.stream("Push", ""))).failure?.code, status.NOT_FOUND);
      assert.equal(server.activeCalls, 0);
    });

    it("ends with the server", async (t) => {
      const { method, next } = handedOn();
      const { client, server } = await serve(t, [method], { interceptors });
      const read = readAll(client.stream("Push", "me"));
      await next();
      await server.close("going");
      assert.equal((await read).failure?.code, status.UNAVAILABLE);
    });
  });
}

describe("who asks to hear of a cancellation", () => {
  it("hears at once when it has come, each once, and one that throws keeps no other from it", async (t) => {
    const heard: string[] = [];
    const over = Promise.withResolvers<void>();
    const wait = unary("Wait", (text, call) => {
      call.onCancelled(() => heard.push("first"));
      call.onCancelled(() => {
        throw new Error("a bug");
      });
      call.onCancelled(() => {
        heard.push("last");
        call.onCancelled(() => heard.push("at once"));
        over.resolve();
      });
      return over.promise.then(() => text);
    });
    const { client, server, events } = await serve(t, [wait]);
    assert.equal((await client.failure("Wait", "", { deadline: Date.now() + 20 })).code, status.DEADLINE_EXCEEDED);
    await over.promise;
    assert.deepEqual(heard, ["first", "last", "at once"]);
    await server.close("the test is over");
    assert.deepEqual(
      events.map(({ t }) => t),
      ["handler-failed-late"],
    );
  });

  it("hears nothing of a call that ends well", async (t) => {
    const echo = unary("Echo", (text, call) => {
      call.onCancelled(() => assert.fail("it was not cancelled"));
      return text;
    });
    const { client, server, events } = await serve(t, [echo]);
    assert.equal((await client.unary("Echo", "a")).message, "a");
    await server.close("the test is over");
    assert.deepEqual(events, []);
  });
});
