import { startServer } from "../harness/server.ts";
import { describeAcceptance } from "./acceptance.ts";
import type { Worker } from "./worker-kind.ts";

async function startWorker(flags: readonly string[] = []): Promise<Worker> {
  const server = await startServer(flags);
  return {
    ...server,
    hideTokenizer: () => undefined,
    async replaced() {
      server.kill();
      return startWorker([...flags, "--port", String(server.port)]);
    },
  };
}

describeAcceptance({
  name: "the llama engine",
  start: startWorker,
  startToEmbed: startServer,
  startToTell: startWorker,
  startOther: startServer,
  otherHasSameBlocks: true,
  restartsEngine: true,
});
