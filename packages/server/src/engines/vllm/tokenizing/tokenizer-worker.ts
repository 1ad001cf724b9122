import { parentPort, workerData } from "node:worker_threads";
import { readModel } from "../model/read-model.ts";
import type { FromTokenizer, TokenizerWorkerData, ToTokenizer } from "./tokenizer-messages.ts";

const port = parentPort;
if (port === null) throw new Error("this file is the entry of a worker thread");

const { folder, files } = workerData as TokenizerWorkerData;
const { tokenizer } = await readModel(folder, files);

port.on("message", ({ call, text }: ToTokenizer) => {
  const answer = (message: FromTokenizer): void => port.postMessage(message);
  try {
    if (!("encode" in tokenizer)) throw new Error(tokenizer.missingBecause);
    answer({ t: "ids", call, tokenIds: Uint32Array.from(tokenizer.encode(text, true)) });
  } catch (thrown) {
    answer({ t: "failed", call, reason: thrown instanceof Error ? thrown.message : String(thrown) });
  }
});
