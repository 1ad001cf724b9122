import { startServer } from "../harness/server.ts";
import { describeAcceptance } from "./acceptance.ts";

describeAcceptance({
  name: "the llama engine",
  start: startServer,
  startOther: startServer,
  embeds: true,
  restartsEngine: true,
  hidesTokenizer: true,
});
