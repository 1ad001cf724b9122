import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { createHealthService, type HealthMethod, type HealthService, type HealthServiceOptions } from "./service.ts";
import type { ServingStatus } from "./serving-status.ts";
import { type IgnoredChange, StatusTable } from "./status-table.ts";
import type { HealthWatchCall } from "./watch-stream.ts";
import type { HealthCheckResponse } from "./wire/health-check-response.ts";

const engine = "vllm.grpc.engine.VllmEngine";

/** The client's side of a Watch: what it heard, and whether it reads. */
class WatchingClient implements HealthWatchCall {
  readonly heard: ServingStatus[] = [];
  readonly #controller = new AbortController();
  readonly signal: AbortSignal = this.#controller.signal;
  reads = true;
  ended: Promise<void> = Promise.resolve();
  #resume: (() => void) | undefined;

  write(response: HealthCheckResponse): boolean {
    if (this.signal.aborted) return false;
    this.heard.push(response.status);
    return this.reads;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  async readOn(): Promise<void> {
    this.reads = true;
    this.#resume?.();
    await settled();
  }

  end(reason: unknown): void {
    this.#controller.abort(reason);
    this.#resume?.();
  }
}

/** All promise callbacks that are due have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function method<Kind extends HealthMethod["kind"]>(service: HealthService, kind: Kind, name: string) {
  const found = service.methods.find((candidate) => candidate.name === name);
  assert.equal(found?.kind, kind);
  return found as Extract<HealthMethod, { kind: Kind }>;
}

function served(table: StatusTable, options?: HealthServiceOptions) {
  const service = createHealthService(table, options);
  const live = { signal: new AbortController().signal };
  return {
    service,
    check: async (name: string) => {
      const answer = await method(service, "unary", "Check").handler({ service: name }, live);
      return (answer as HealthCheckResponse).status;
    },
    list: () => method(service, "unary", "List").handler({}, live) as Promise<{ statuses: Map<string, string> }>,
    watch: (name: string, client = new WatchingClient()) => {
      client.ended = method(service, "server-streaming", "Watch").handler({ service: name }, client);
      client.ended.catch(() => {});
      return client;
    },
  };
}

suite("grpc.health.v1", () => {
  test("a registered name answers SERVING or NOT_SERVING", async () => {
    const table = new StatusTable();
    const { check } = served(table);
    table.set(engine, "SERVING");
    assert.equal(await check(engine), "SERVING");
    table.set(engine, "NOT_SERVING");
    assert.equal(await check(engine), "NOT_SERVING");
  });

  test("Check of a name that is not registered fails NOT_FOUND", async () => {
    const { check } = served(new StatusTable());
    await assert.rejects(check("nobody"), { name: "GrpcStatusError", code: 5, message: "Unknown service: nobody" });
  });

  test("the empty name is the whole server's status and always registered", async () => {
    const table = new StatusTable();
    const { check } = served(table);
    assert.equal(await check(""), "NOT_SERVING");
    table.set("", "SERVING");
    assert.equal(await check(""), "SERVING");
  });

  test("names match exactly: neither case, nor spaces, nor a part of a name", async () => {
    const table = new StatusTable();
    table.set("a.Service", "SERVING");
    const { check } = served(table);
    for (const name of ["A.Service", "a.service", " a.Service", "a.Service/", "a"]) {
      await assert.rejects(check(name), { code: 5 }, name);
    }
  });

  test("a call whose deadline passed leaves nothing behind", async () => {
    const table = new StatusTable();
    const { watch } = served(table);
    const client = watch("a");
    assert.equal(table.watcherCount, 1);
    const deadline = new Error("deadline");
    client.end(deadline);
    await assert.rejects(client.ended, deadline);
    assert.equal(table.watcherCount, 0);
    table.set("a", "SERVING");
    assert.deepEqual(client.heard, ["SERVICE_UNKNOWN"]);
  });

  test("a Watch whose client is gone already takes no slot", async () => {
    const table = new StatusTable();
    const { watch } = served(table);
    const client = new WatchingClient();
    client.end(new Error("gone"));
    await assert.rejects(watch("", client).ended, /gone/);
    assert.equal(table.watcherCount, 0);
    assert.deepEqual(client.heard, []);
  });

  test("Watch sends the current status at once and then one message per change", () => {
    const table = new StatusTable();
    table.set(engine, "SERVING");
    const client = served(table).watch(engine);
    assert.deepEqual(client.heard, ["SERVING"]);
    table.set(engine, "NOT_SERVING");
    table.set(engine, "SERVING");
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING", "SERVING"]);
  });

  test("Watch of a name that is not registered sends SERVICE_UNKNOWN, stays open and follows its registration", async () => {
    const table = new StatusTable();
    const client = served(table).watch("later");
    assert.deepEqual(client.heard, ["SERVICE_UNKNOWN"]);
    table.set("later", "SERVING");
    table.clear("later");
    assert.deepEqual(client.heard, ["SERVICE_UNKNOWN", "SERVING", "SERVICE_UNKNOWN"]);
    assert.equal(await Promise.race([client.ended, settled().then(() => "open")]), "open");
  });

  test("on shutdown Watch hears NOT_SERVING and ends only when the server ends the call", async () => {
    const table = new StatusTable();
    table.set(engine, "SERVING");
    const client = served(table).watch(engine);
    table.shutdown();
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING"]);
    assert.equal(await Promise.race([client.ended, settled().then(() => "open")]), "open");
    const reason = new Error("server stops");
    client.end(reason);
    await assert.rejects(client.ended, reason);
  });

  test("an equal status is not sent again", () => {
    const table = new StatusTable();
    const client = served(table).watch("a");
    table.set("a", "SERVING");
    table.set("a", "SERVING");
    assert.deepEqual(client.heard, ["SERVICE_UNKNOWN", "SERVING"]);
  });

  test("a slow reader gets the latest status and not a queue", async () => {
    const table = new StatusTable();
    const client = new WatchingClient();
    client.reads = false;
    served(table).watch("a", client);
    for (let round = 0; round < 1000; round += 1) {
      table.set("a", "SERVING");
      table.set("a", "NOT_SERVING");
    }
    assert.deepEqual(client.heard, ["SERVICE_UNKNOWN"]);
    await client.readOn();
    assert.deepEqual(client.heard, ["SERVICE_UNKNOWN", "NOT_SERVING"]);
  });

  test("a slow reader for whom nothing changed in the end hears nothing", async () => {
    const table = new StatusTable();
    const client = new WatchingClient();
    client.reads = false;
    served(table).watch("", client);
    table.set("", "SERVING");
    table.set("", "NOT_SERVING");
    await client.readOn();
    assert.deepEqual(client.heard, ["NOT_SERVING"]);
  });

  test("a Watch whose writing fails ends with that failure and frees its slot", async () => {
    for (const failsAt of [1, 2]) {
      const table = new StatusTable();
      const client = new WatchingClient();
      let writes = 0;
      client.write = () => {
        writes += 1;
        if (writes === failsAt) throw new Error("broken");
        return true;
      };
      served(table).watch("a", client);
      table.set("a", "SERVING");
      await assert.rejects(client.ended, /broken/);
      assert.equal(table.watcherCount, 0);
    }
  });

  test("List gives every registered name with its status", async () => {
    const table = new StatusTable();
    table.set("a", "SERVING");
    const { service, list } = served(table);
    const answer = await list();
    assert.deepEqual(
      [...answer.statuses],
      [
        ["", "NOT_SERVING"],
        ["a", "SERVING"],
      ],
    );
    const bytes = method(service, "unary", "List").encodeResponse(answer);
    assert.equal(Buffer.from(bytes).toString("hex"), "0a060a00120208020a070a016112020801");
  });

  test("List refuses with RESOURCE_EXHAUSTED beyond its bound of 100 names", async () => {
    const table = new StatusTable();
    const { list } = served(table);
    for (let index = 1; index < 100; index += 1) table.set(`s${index}`, "SERVING");
    assert.equal((await list()).statuses.size, 100);
    table.set("one too many", "SERVING");
    await assert.rejects(list(), { name: "GrpcStatusError", code: 8 });
  });

  test("after the shutdown latch every name is NOT_SERVING and later changes are ignored and reported", async () => {
    const ignored: IgnoredChange[] = [];
    const table = new StatusTable({ onIgnored: (change) => ignored.push(change) });
    table.set("", "SERVING");
    table.set("a", "SERVING");
    const { check } = served(table);
    table.shutdown();
    table.shutdown();
    table.set("a", "SERVING");
    table.set("new", "SERVING");
    table.clear("a");
    assert.deepEqual(
      [...table.list()],
      [
        ["", "NOT_SERVING"],
        ["a", "NOT_SERVING"],
      ],
    );
    assert.equal(await check("a"), "NOT_SERVING");
    assert.deepEqual(ignored, [
      { change: "set", service: "a", status: "SERVING" },
      { change: "set", service: "new", status: "SERVING" },
      { change: "clear", service: "a" },
    ]);
  });

  test("after resume changes count again, and nothing is SERVING before it is set", () => {
    const table = new StatusTable();
    table.set("a", "SERVING");
    const client = served(table).watch("a");
    table.shutdown();
    table.resume();
    assert.equal(table.get("a"), "NOT_SERVING");
    table.set("a", "SERVING");
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING", "SERVING"]);
  });

  test("a Watch beyond the bound of watchers fails RESOURCE_EXHAUSTED", async () => {
    const table = new StatusTable({ maxWatchers: 1 });
    const { watch } = served(table);
    const first = watch("");
    await assert.rejects(watch("").ended, { name: "GrpcStatusError", code: 8 });
    first.end(new Error("gone"));
    assert.deepEqual(watch("").heard, ["NOT_SERVING"]);
  });

  test("beforeCheck is awaited once per Check and once per List, before the status is read", async () => {
    const table = new StatusTable();
    const asked: string[] = [];
    const { check, list, watch } = served(table, {
      beforeCheck: async (service) => {
        await settled();
        asked.push(service);
        table.set(service, "SERVING");
      },
    });
    assert.equal(await check(engine), "SERVING");
    assert.deepEqual(asked, [engine]);
    assert.equal((await list()).statuses.get(""), "SERVING");
    assert.deepEqual(asked, [engine, ""]);
    watch(engine);
    assert.deepEqual(asked, [engine, ""]);
  });

  test("annotate gives a Check its trailers, after beforeCheck, and only for registered names", async () => {
    const table = new StatusTable();
    const asked: string[] = [];
    const service = createHealthService(table, {
      beforeCheck: async (name) => void asked.push(`before ${name}`),
      annotate: (name) => {
        asked.push(`annotate ${name}`);
        return name === "" ? { "x-reason": "starting" } : undefined;
      },
    });
    table.set("plain", "SERVING");
    const trailers: string[][] = [];
    const { signal } = new AbortController();
    const call = { signal, setTrailer: (key: string, value: string) => void trailers.push([key, value]) };
    const { handler } = method(service, "unary", "Check");
    await handler({ service: "" }, call);
    await handler({ service: "plain" }, call);
    await handler({ service: "" }, { signal });
    await assert.rejects(async () => handler({ service: "unknown" }, call), { code: 5 });
    assert.deepEqual(trailers, [["x-reason", "starting"]]);
    assert.deepEqual(asked.slice(0, 4), ["before ", "annotate ", "before plain", "annotate plain"]);
    assert.ok(!asked.includes("annotate unknown"));
  });

  test("what beforeCheck rejects with ends the call", async () => {
    const failure = new Error("no evidence");
    const { check } = served(new StatusTable(), { beforeCheck: () => Promise.reject(failure) });
    await assert.rejects(check(""), failure);
  });

  test("malformed requests are refused with INVALID_ARGUMENT", () => {
    const { service } = served(new StatusTable());
    for (const { decodeRequest } of service.methods) {
      assert.throws(() => decodeRequest(Uint8Array.of(0x0a)), { name: "GrpcStatusError", code: 3 });
    }
    const tooLong = Buffer.concat([Buffer.from("0a8108", "hex"), Buffer.alloc(1025, "x")]);
    assert.throws(() => method(service, "unary", "Check").decodeRequest(tooLong), { code: 3, message: /at most 1024/ });
  });

  test("whatever happens, every watcher's last heard status is the table's, and none hears one twice in a row", async () => {
    const names = ["", "a", "b"];
    const name = fc.constantFrom(...names);
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("set" as const), name, serving: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("clear" as const), name }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("shutdown" as const, "resume" as const) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("watch" as const), name, reads: fc.boolean() }) },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constantFrom("stall" as const, "read" as const, "leave" as const),
          who: fc.nat(9),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (history) => {
        const table = new StatusTable();
        const { watch } = served(table);
        const clients: { name: string; client: WatchingClient }[] = [];
        for (const event of history) {
          switch (event.do) {
            case "set":
              table.set(event.name, event.serving ? "SERVING" : "NOT_SERVING");
              break;
            case "clear":
              table.clear(event.name);
              break;
            case "shutdown":
              table.shutdown();
              break;
            case "resume":
              table.resume();
              break;
            case "watch": {
              const client = new WatchingClient();
              client.reads = event.reads;
              clients.push({ name: event.name, client: watch(event.name, client) });
              break;
            }
            default: {
              const client = clients[event.who]?.client;
              if (event.do === "stall" && client) client.reads = false;
              if (event.do === "read") await client?.readOn();
              if (event.do === "leave") client?.end(new Error("left"));
            }
          }
          if (table.isShutDown) assert.ok(![...table.list().values()].includes("SERVING"));
        }
        const watching = clients.filter(({ client }) => !client.signal.aborted);
        assert.equal(table.watcherCount, watching.length);
        for (const { name: service, client } of watching) {
          await client.readOn();
          assert.equal(client.heard.at(-1), table.get(service) ?? "SERVICE_UNKNOWN");
        }
        for (const { client } of clients) {
          assert.ok(client.heard.every((status, index) => status !== client.heard[index - 1]));
        }
      }),
      { numRuns: 300 },
    );
  });
});
