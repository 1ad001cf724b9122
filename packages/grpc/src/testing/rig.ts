import type { TestContext } from "node:test";
import type { Listener } from "../node/listener.ts";
import { createServer, type Server, type ServerOptions } from "../node/server.ts";
import type { ServerEvent } from "../rpc/rpc-server.ts";
import type { Method } from "../rpc/service.ts";
import { TextClient } from "./grpc-js-client.ts";

export interface Rig {
  readonly server: Server;
  readonly listener: Listener;
  readonly client: TextClient;
  readonly events: ServerEvent[];
}

/** Serves the methods as `test.Text` on a free port, with a client; both end with the test. */
export async function serve(t: TestContext, methods: readonly Method[], options: ServerOptions = {}): Promise<Rig> {
  const events: ServerEvent[] = [];
  const server = createServer({ closeGraceMs: 200, ...options, onEvent: (event) => events.push(event) });
  server.register({ name: "test.Text", methods });
  const listener = await server.listen({ host: "127.0.0.1", port: 0 });
  const client = new TextClient(listener.port);
  t.after(() => server.close("the test is over"));
  t.after(() => client.close());
  return { server, listener, client, events };
}

/** A small repeatable generator (mulberry32), in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
