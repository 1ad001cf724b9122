import assert from "node:assert/strict";
import { after } from "node:test";
import { describeAcceptance } from "../gateway/acceptance.ts";
import { engineService, type Server, startServer } from "../harness/server.ts";
import { ensureInstalled, gateway } from "../harness/tools.ts";
import { EngineClient } from "./engine-client.ts";
import { HealthWatch } from "./health-watch.ts";
import { makeEngineHome, startVllmServer } from "./vllm-server.ts";

await ensureInstalled(gateway);

const homes: { remove(): void }[] = [];
after(() => {
  for (const home of homes) home.remove();
});

/** A server with an engine of its own. What a list of a gateway's users asks of a server is the same for any engine. */
async function startWorker(flags: readonly string[] = []): Promise<Server> {
  const home = makeEngineHome();
  homes.push(home);
  const named = ["--served-model-name", "tokenwire-demo", "--withdrawal-grace", "0", "--drain-timeout", "5"];
  const server = await startVllmServer(home, [...named, ...flags]);
  await warm(server.target);
  const [host = "", port = ""] = server.target.split(":");
  return {
    ...server,
    host,
    port: Number(port),
    async until(service, status) {
      const watch = new HealthWatch(server.target, service);
      await watch.until(status === 1 ? "SERVING" : "NOT_SERVING", 60_000).finally(() => watch.close());
    },
    children: () => [home.processes()?.engineCore ?? 0].filter((pid) => pid > 0),
    kill() {
      server.kill();
      home.remove();
    },
  };
}

/**
 * What vLLM compiles for its first logprobs and its first grammar holds its first request for seconds. The gateway takes a
 * worker that says nothing for 3 s for wedged, and without requests it hears nothing that would tell it otherwise.
 */
async function warm(target: string): Promise<void> {
  const client = new EngineClient(target);
  try {
    for (const sampling of [{ logprobs: 2 }, { constraint: { $case: "regex", value: "a+" } as const }]) {
      const { status, details } = await client.generate({
        promptIds: [5, 6, 7],
        sampling: { maxTokens: 4, ...sampling },
      });
      assert.equal(status, "OK", details);
    }
  } finally {
    client.close();
  }
}

describeAcceptance({
  name: `${engineService} over vLLM`,
  start: startWorker,
  // Two engines are more than the machine has room for; the llama engine serves the same model.
  startOther: startServer,
  embeds: false,
  restartsEngine: false,
  hidesTokenizer: false,
});
