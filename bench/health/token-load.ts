/**
 * Keeps a number of streams open on a server until it gets SIGTERM: each asks again as soon as it has ended.
 *
 *     node token-load.ts ADDRESS STREAMS
 *
 * Prints `running` when every stream has its first token, and at the end the tokens per second since then.
 */
import { Client, credentials } from "@grpc/grpc-js";
import { GenerateRequest, GenerateResponse } from "../../packages/server/src/generated/vllm_engine.ts";

const [address = "", count = "32"] = process.argv.slice(2);
const streams = Number(count);
const client = new Client(address, credentials.createInsecure());
let calls = 0;
let tokens = 0;
let begunAtMs: number | undefined;
const running = new Set<number>();

function generate(stream: number): void {
  const request = GenerateRequest.fromPartial({
    requestId: `load-${++calls}`,
    input: {
      $case: "text",
      value: "<|im_start|>user\nTell me a story about a fox.<|im_end|>\n<|im_start|>assistant\n",
    },
    samplingParams: { temperature: 0.8, topP: 0.95, seed: calls, maxTokens: 128, ignoreEos: true },
    stream: true,
  });
  const call = client.makeServerStreamRequest(
    "/vllm.grpc.engine.VllmEngine/Generate",
    (message: GenerateRequest) => Buffer.from(GenerateRequest.encode(message).finish()),
    (bytes: Buffer) => GenerateResponse.decode(bytes),
    request,
  );
  call.on("data", ({ response }: GenerateResponse) => {
    if (response?.$case !== "chunk") return;
    if (begunAtMs !== undefined) tokens += response.value.tokenIds.length;
    else if (running.add(stream).size === streams) {
      begunAtMs = performance.now();
      process.stdout.write("running\n");
    }
  });
  call.once("end", () => generate(stream));
  call.once("error", (thrown) => {
    process.stderr.write(`${thrown.message}\n`);
    process.exit(1);
  });
}

process.on("SIGTERM", () => {
  const seconds = (performance.now() - (begunAtMs ?? performance.now())) / 1000;
  process.stdout.write(`${(tokens / seconds).toFixed(0)} tokens/s\n`, () => process.exit(0));
});
for (let stream = 0; stream < streams; stream += 1) generate(stream);
