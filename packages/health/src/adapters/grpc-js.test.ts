import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { StatusTable } from "../status-table.ts";
import { addHealthService } from "./grpc-js.ts";
import { type ServeHealth, testAdapter } from "./testing/adapter-contract.ts";

const serve: ServeHealth = async (table, options) => {
  const server = new Server();
  const registration = addHealthService(server, table, options);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    port,
    registration,
    destroy: () => server.forceShutdown(),
    stopGracefully: () =>
      new Promise((resolve, reject) => {
        server.tryShutdown((error) => (error === undefined ? resolve() : reject(error)));
      }),
  };
};

suite("a server of grpc-js", () => {
  testAdapter(serve, { maxMessagesOfStalledReader: 3 });

  test("Health on one server twice is refused", () => {
    const server = new Server();
    addHealthService(server, new StatusTable());
    assert.throws(() => addHealthService(server, new StatusTable()), /already provided/);
  });
});
