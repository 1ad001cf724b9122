/**
 * Tokens per second through gRPC at 1, 8 and 32 streams, and the time to SERVING.
 *
 *     npx node --conditions=tokenwire-source bench/serving/streams.ts [model.gguf]
 *
 * Starts `tokenwire serve` on a free port, drives it with grpc-js from this process, and prints one row per number of
 * streams: the median of five rounds, with the least and the most. Client and server share the machine's cores.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { Client, credentials } from "@grpc/grpc-js";
import { GenerateRequest, GenerateResponse } from "../../packages/server/src/generated/vllm_engine.ts";

const tokensPerStream = 128;
const rounds = 5;
const root = fileURLToPath(new URL("../..", import.meta.url));
const model = process.argv[2] ?? "models/demo/tiny-f16.gguf";

interface Server {
  readonly process: ChildProcess;
  readonly address: string;
  readonly servingMs: number;
}

/** Starts the server and waits until it says SERVING. */
function startServer(): Promise<Server> {
  const begun = performance.now();
  const args = ["packages/server/bin/tokenwire.mjs", "serve", model, "--host", "127.0.0.1", "--port", "0"];
  const child = spawn(process.execPath, [...args, "--max-num-seqs", "32", "--log-level", "error"], { cwd: root });
  return new Promise((resolve, reject) => {
    let text = "";
    child.stderr.pipe(process.stderr);
    child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      const address = /listening on (\S+:\d+)/.exec(text)?.[1];
      if (address !== undefined && /\bSERVING\b/.test(text)) {
        resolve({ process: child, address, servingMs: performance.now() - begun });
      }
    });
    child.once("exit", (code) => reject(new Error(`the server ended with ${code} before it was SERVING`)));
  });
}

interface StreamResult {
  readonly firstTokenMs: number;
  readonly tokens: number;
}

function runStream(client: Client, id: string, seed: number): Promise<StreamResult> {
  const begun = performance.now();
  const request = GenerateRequest.fromPartial({
    requestId: id,
    input: {
      $case: "text",
      value: "<|im_start|>user\nTell me a story about a fox.<|im_end|>\n<|im_start|>assistant\n",
    },
    samplingParams: { temperature: 0.8, topP: 0.95, seed, maxTokens: tokensPerStream, ignoreEos: true },
    stream: true,
  });
  const call = client.makeServerStreamRequest(
    "/vllm.grpc.engine.VllmEngine/Generate",
    (message: GenerateRequest) => Buffer.from(GenerateRequest.encode(message).finish()),
    (bytes: Buffer) => GenerateResponse.decode(bytes),
    request,
  );
  return new Promise((resolve, reject) => {
    let firstTokenMs = 0;
    let tokens = 0;
    call.on("data", ({ response }: GenerateResponse) => {
      if (response?.$case !== "chunk") return;
      if (tokens === 0) firstTokenMs = performance.now() - begun;
      tokens += response.value.tokenIds.length;
    });
    call.once("end", () => resolve({ firstTokenMs, tokens }));
    call.once("error", reject);
  });
}

function summary(values: readonly number[]): { min: number; median: number; max: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  return { min: at(0), median: at(0.5), max: at(1) };
}

const server = await startServer();
const client = new Client(server.address, credentials.createInsecure());
console.log(`time to SERVING: ${server.servingMs.toFixed(0)} ms`);
console.log("| streams | tokens/s [min-max] | time to first token, ms (median) |");
console.log("| ---: | ---: | ---: |");
try {
  let calls = 0;
  for (const streams of [1, 8, 32]) {
    const rates: number[] = [];
    const firstTokensMs: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const begun = performance.now();
      const results = await Promise.all(
        Array.from({ length: streams }, (_, seed) => runStream(client, `bench-${++calls}`, seed)),
      );
      const seconds = (performance.now() - begun) / 1000;
      const tokens = results.reduce((sum, result) => sum + result.tokens, 0);
      if (tokens !== streams * tokensPerStream)
        throw new Error(`${tokens} tokens came, not ${streams * tokensPerStream}`);
      // The first round warms up.
      if (round === 0) continue;
      rates.push(tokens / seconds);
      firstTokensMs.push(...results.map((result) => result.firstTokenMs));
    }
    const { min, median, max } = summary(rates);
    const range = `${median.toFixed(0)} [${min.toFixed(0)}-${max.toFixed(0)}]`;
    console.log(`| ${streams} | ${range} | ${summary(firstTokensMs).median.toFixed(1)} |`);
  }
} finally {
  client.close();
  server.process.kill("SIGTERM");
}
