// Stands in for `vllm serve MODEL --headless …`: writes lines as vLLM does and speaks the engine's side of the wire with
// the mock engine core, in a process of its own. Words of its own come behind the engine's:
//   --fail                writes why and ends with exit code 1, as vLLM does for a model that it cannot load
//   --ignore-sigterm      has to be killed
//   --worker              starts a child that does nothing, as vLLM starts workers
//   --never-ready         says nothing to the front end
import { fork } from "node:child_process";
import { MockEngineCore } from "@tokenwire/engine-core/testing";

const words = process.argv.slice(2);
const has = (word: string): boolean => words.includes(word);
const wordAfter = (flag: string): string => words[words.indexOf(flag) + 1] ?? "";

if (has("--idle-worker")) {
  process.on("SIGTERM", () => {});
  setInterval(() => {}, 60_000);
} else {
  await main();
}

async function main(): Promise<void> {
  const line = (text: string): boolean => process.stderr.write(`(EngineCore pid=${process.pid}) ${text}\n`);
  line(`INFO 11-23 [serve.py:239] Launching 1 data parallel engine(s) in headless mode, ${words.join(" ")}`);
  if (has("--fail")) {
    line("ERROR 11-23 [core.py:1] ValueError: the weights do not fit");
    process.exit(1);
  }
  if (has("--ignore-sigterm")) process.on("SIGTERM", () => {});
  if (has("--worker")) fork(import.meta.filename, ["--idle-worker"], { execArgv: process.execArgv, stdio: "ignore" });
  line("INFO 11-23 [cpu_model_runner.py:68] Starting to load model ...");
  process.stderr.write("\rLoading safetensors checkpoint shards:  50% Completed | 1/2 [00:00<00:00]");
  process.stderr.write("\rLoading safetensors checkpoint shards: 100% Completed | 2/2 [00:00<00:00]\n");
  line("INFO 11-23 [core.py:402] init engine (profile, create kv cache, warmup model) took 0.38 s");
  setInterval(() => {}, 60_000);
  if (has("--never-ready")) return;
  const handshakeAddress = `tcp://${wordAfter("--data-parallel-address")}:${wordAfter("--data-parallel-rpc-port")}`;
  await MockEngineCore.start({ handshakeAddress, stepMs: 2 });
}
