import { after } from "node:test";
import { MockKvPublisher } from "@tokenwire/engine-core/testing";
import { describeEngineContract } from "../../engine/testing/engine-contract.ts";
import { readModel } from "./model/read-model.ts";
import { demoFolder, vllmRig } from "./testing/vllm-rig.ts";

const { tokenizer } = await readModel(demoFolder);
if (!("encode" in tokenizer)) throw new Error("the demonstration model has a tokenizer");
const prompt = tokenizer.encode("What is the capital of France?", true);
const answer = tokenizer.encode(" The capital of France is Paris, and it lies on the Seine.", false);

const publishers: MockKvPublisher[] = [];
after(() => {
  for (const publisher of publishers) publisher.close();
});

describeEngineContract("the vLLM engine over a mock engine core", {
  createEngine: async ({ maxNumSeqs }) => {
    const publisher = await MockKvPublisher.start();
    publishers.push(publisher);
    return vllmRig({
      core: {
        // Steps take a moment, so that an endless request is still there when another one ends.
        stepMs: 1,
        ready: { max_num_seqs: maxNumSeqs, max_model_len: 400, kv_events_config: publisher.config },
        utilities: { get_supported_tasks: () => ["generate", "embed"] },
        tokenAt: (_request, position) => answer[position % answer.length] ?? 0,
      },
    }).engine;
  },
  prompt: Uint32Array.from(prompt),
  text: "What is the capital of France?",
  stopString: "Paris",
});
