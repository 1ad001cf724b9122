import { suite } from "node:test";
import { createServer } from "nice-grpc";
import { addHealthService } from "./nice-grpc.ts";
import { type ServeHealth, testAdapter } from "./testing/adapter-contract.ts";

const serve: ServeHealth = async (table, options) => {
  const server = createServer();
  const registration = addHealthService(server, table, options);
  const port = await server.listen("127.0.0.1:0");
  return { port, registration, destroy: () => server.forceShutdown(), stopGracefully: () => server.shutdown() };
};

suite("a server of nice-grpc", () => {
  testAdapter(serve, { maxMessagesOfStalledReader: 18 });
});
