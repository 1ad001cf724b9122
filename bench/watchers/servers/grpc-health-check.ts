// Serves the npm package grpc-health-check over grpc-js and nothing else.
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { announce, onFlip } from "./announce.ts";

const health = new HealthImplementation({ "": "SERVING" });
const server = new Server();
health.addToServer(server);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  onFlip((status) => health.setStatus("", status));
  announce(port, ["grpc-health-check", "@grpc/grpc-js"]);
});
