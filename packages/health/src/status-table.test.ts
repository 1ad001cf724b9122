import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { StatusTable, type StatusTransition } from "./status-table.ts";

suite("StatusTable", () => {
  test("the empty name is registered from the start and NOT_SERVING", () => {
    const table = new StatusTable();
    assert.equal(table.get(""), "NOT_SERVING");
    assert.equal(table.size, 1);
  });

  test("clearing the empty name puts it back to NOT_SERVING and leaves it registered", () => {
    const table = new StatusTable();
    table.set("", "SERVING");
    table.clear("");
    assert.equal(table.get(""), "NOT_SERVING");
  });

  test("a list is a copy", () => {
    const table = new StatusTable();
    const list = table.list();
    table.set("a", "SERVING");
    assert.deepEqual([...list], [["", "NOT_SERVING"]]);
  });

  test("transitions are told once each, registration and its end included, and no change is none", () => {
    const transitions: StatusTransition[] = [];
    const table = new StatusTable({ onTransition: (transition) => transitions.push(transition) });
    table.set("a", "SERVING");
    table.set("a", "SERVING");
    table.set("a", "NOT_SERVING");
    table.clear("a");
    table.clear("a");
    assert.deepEqual(transitions, [
      { service: "a", from: "SERVICE_UNKNOWN", to: "SERVING" },
      { service: "a", from: "SERVING", to: "NOT_SERVING" },
      { service: "a", from: "NOT_SERVING", to: "SERVICE_UNKNOWN" },
    ]);
  });

  test("a listener or hook that throws is reported and the other listeners still hear", () => {
    const reported: unknown[] = [];
    const table = new StatusTable({
      onTransition: () => {
        throw new Error("hook");
      },
      onListenerError: (error, service) => {
        reported.push([String(error), service]);
        throw new Error("dropped");
      },
    });
    const heard: string[] = [];
    table.watch("a", () => {
      throw new Error("listener");
    });
    table.watch("a", (status) => heard.push(status));
    table.set("a", "SERVING");
    assert.deepEqual(heard, ["SERVICE_UNKNOWN", "SERVING"]);
    assert.deepEqual(reported, [
      ["Error: listener", "a"],
      ["Error: hook", "a"],
      ["Error: listener", "a"],
    ]);
  });

  test("a listener that changes the table leaves every watcher with the last status", () => {
    const table = new StatusTable();
    const first: string[] = [];
    const second: string[] = [];
    table.watch("a", (status) => {
      first.push(status);
      if (status === "SERVING") table.set("a", "NOT_SERVING");
    });
    table.watch("a", (status) => second.push(status));
    table.set("a", "SERVING");
    assert.deepEqual(first, ["SERVICE_UNKNOWN", "SERVING", "NOT_SERVING"]);
    assert.deepEqual(second, ["SERVICE_UNKNOWN", "NOT_SERVING"]);
  });

  test("a listener told of the shutdown sees every name NOT_SERVING already", () => {
    const table = new StatusTable();
    table.set("", "SERVING");
    table.set("z", "SERVING");
    const seen: unknown[] = [];
    table.watch("", (status) => status === "NOT_SERVING" && seen.push(table.get("z")));
    table.shutdown();
    assert.deepEqual(seen, ["NOT_SERVING"]);
  });

  test("onChange tells of each change of any name and of the latch, and of nothing else", () => {
    const table = new StatusTable();
    const seen: string[] = [];
    const look = (): void => {
      const statuses = [...table.list()].map(([service, status]) => `${service}=${status}`);
      seen.push(`${table.isShutDown ? "latched" : "open"} ${statuses.join(" ")}`);
    };
    const unsubscribe = table.onChange(look);
    table.set("", "NOT_SERVING");
    table.set("a", "SERVING");
    table.set("a", "SERVING");
    table.clear("a");
    table.clear("a");
    table.shutdown();
    table.shutdown();
    table.set("a", "SERVING");
    table.resume();
    table.resume();
    assert.deepEqual(seen, [
      "open =NOT_SERVING a=SERVING",
      "open =NOT_SERVING",
      "latched =NOT_SERVING",
      "open =NOT_SERVING",
    ]);
    unsubscribe();
    table.set("", "SERVING");
    assert.equal(seen.length, 4);
  });

  test("what an onChange listener throws is reported and stops no other", () => {
    const errors: string[] = [];
    const table = new StatusTable({ onListenerError: (error) => void errors.push(String(error)) });
    table.onChange(() => {
      throw new Error("listener");
    });
    let told = 0;
    table.onChange(() => {
      told += 1;
    });
    table.set("", "SERVING");
    assert.deepEqual([errors, told], [["Error: listener"], 1]);
  });

  test("unsubscribing frees the slot once, however often it is called", () => {
    const table = new StatusTable({ maxWatchers: 2 });
    const unsubscribe = table.watch("a", () => {});
    table.watch("b", () => {});
    assert.throws(() => table.watch("c", () => {}), { name: "StatusTableFullError", bound: "watchers" });
    unsubscribe();
    unsubscribe();
    assert.equal(table.watcherCount, 1);
    table.watch("c", () => {});
    assert.equal(table.watcherCount, 2);
  });

  test("a full table refuses new names and still changes the ones it has", () => {
    const table = new StatusTable({ maxServices: 2 });
    table.set("a", "SERVING");
    assert.throws(() => table.set("b", "SERVING"), { name: "StatusTableFullError", bound: "services" });
    table.set("a", "NOT_SERVING");
    table.clear("a");
    table.set("b", "SERVING");
    assert.deepEqual([...table.list().keys()], ["", "b"]);
  });

  test("names that nobody could ask for, other statuses and bounds below 1 are refused", () => {
    const table = new StatusTable();
    assert.throws(() => table.set("x".repeat(1025), "SERVING"), /1025 bytes, at most 1024/);
    assert.throws(() => table.set("\ud800", "SERVING"), /not valid Unicode/);
    assert.throws(() => table.set("a", "UP" as "SERVING"), /status: UP/);
    assert.throws(() => new StatusTable({ maxWatchers: 0 }), /maxWatchers: 0/);
    assert.equal(table.size, 1);
  });
});
