import { after } from "node:test";
import { describeAcceptance } from "../gateway/acceptance.ts";
import { engineService, startServer } from "../harness/server.ts";
import { ensureInstalled, gateway } from "../harness/tools.ts";
import { kvEventsFlags } from "./kv-events-flags.ts";
import { endWorkers, startVllmWorker } from "./vllm-worker.ts";

await ensureInstalled(gateway);
after(endWorkers);

describeAcceptance({
  name: `${engineService} over vLLM`,
  start: (flags = []) => startVllmWorker({ flags }),
  startToEmbed: () =>
    startVllmWorker({
      engineFlags: ["--convert", "embed"],
      warm: async (client) => void (await client.embed([5, 6, 7])),
    }),
  // The smallest blocks that vLLM computes with on a processor.
  startToTell: () => startVllmWorker({ engineFlags: kvEventsFlags(32) }),
  // Two engines are more than the machine has room for; the llama engine serves the same model.
  startOther: startServer,
  otherHasSameBlocks: false,
  restartsEngine: false,
});
