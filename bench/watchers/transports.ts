import type { Log } from "../../packages/server/src/operations/log.ts";
import type { RpcServer } from "../../packages/server/src/rpc/server.ts";
import { createRpcServer } from "../../packages/server/src/transport/tokenwire-grpc/rpc-server.ts";

/** A transport of ours behind the seam. */
export interface Transport {
  /** The npm package whose version the report names. */
  readonly package: string;
  create(log: Log): RpcServer;
}

/** Each of our transports is a row of the report under its key. */
export const transports: Readonly<Record<string, Transport>> = {
  "@tokenwire/grpc": { package: "@tokenwire/grpc", create: (log) => createRpcServer({ log }) },
};
