import type { Log } from "../../packages/server/src/operations/log.ts";
import type { RpcServer } from "../../packages/server/src/rpc/server.ts";
import { createGrpcJsServer } from "../../packages/server/src/transport/grpc-js/grpc-js-server.ts";

/** A transport of ours behind the seam. */
export interface Transport {
  /** The npm package whose version the report names. */
  readonly package: string;
  create(log: Log): RpcServer;
}

/** Each of our transports is a row of the report under its key. */
export const transports: Readonly<Record<string, Transport>> = {
  "grpc-js": { package: "@grpc/grpc-js", create: (log) => createGrpcJsServer({ log }) },
};
