import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { PassThrough } from "node:stream";
import { after, before, beforeEach, test } from "node:test";
import { strToU8, zipSync } from "fflate";
import { mockTokenizerFiles } from "../engines/mock/mock-tokenizer.ts";
import { GetTokenizerChunk, GetTokenizerRequest } from "../generated/common.ts";
import { GenerateRequest, GenerateResponse } from "../generated/vllm_engine.ts";
import { createLog } from "../operations/log.ts";
import type { ServerStreamingHandler } from "../rpc/call.ts";
import type { RpcServer } from "../rpc/server.ts";
import { serverStreaming } from "../rpc/service.ts";
import { GrpcStatusError } from "../rpc/status.ts";
import { createRpcServer } from "../transport/tokenwire-grpc/rpc-server.ts";
import { parseCommandLine } from "./command-line.ts";
import { generate } from "./generate.ts";
import { startTokenwire } from "./testing/run-tokenwire.ts";

/** The server that the command talks to; each test says how it answers. */
let server: RpcServer;
let address: string;
let requests: GenerateRequest[];
let getTokenizer: ServerStreamingHandler<GetTokenizerRequest, GetTokenizerChunk>;
let answer: ServerStreamingHandler<GenerateRequest, GenerateResponse>;

const archive = Buffer.from(zipSync(Object.fromEntries(mockTokenizerFiles().map((file) => [file.name, file.bytes]))));
const sha256 = createHash("sha256").update(archive).digest("hex");
const ids = (text: string): number[] => [...strToU8(text)];

const chunk = (tokenIds: number[]): GenerateResponse =>
  GenerateResponse.fromPartial({ response: { $case: "chunk", value: { tokenIds } } });
const complete = (finishReason: string): GenerateResponse =>
  GenerateResponse.fromPartial({
    response: { $case: "complete", value: { finishReason, promptTokens: 5, outputIds: ids("!"), cachedTokens: 2 } },
  });

before(async () => {
  server = createRpcServer({ log: createLog("silent"), closeGraceMs: 100 });
  server.register({
    name: "vllm.grpc.engine.VllmEngine",
    methods: [
      serverStreaming("GetTokenizer", GetTokenizerRequest, GetTokenizerChunk, (request, call) =>
        getTokenizer(request, call),
      ),
      serverStreaming("Generate", GenerateRequest, GenerateResponse, (request, call) => {
        requests.push(request);
        return answer(request, call);
      }),
    ],
  });
  address = `127.0.0.1:${(await server.listen({ host: "127.0.0.1", port: 0 })).port}`;
});

beforeEach(() => {
  requests = [];
  getTokenizer = async (_request, call) => {
    call.write({ data: archive.subarray(0, 100), sha256: "" });
    call.write({ data: archive.subarray(100), sha256 });
  };
  answer = async (_request, call) => {
    for (const piece of ["Grüß", " dich", "!"]) for (const id of ids(piece)) call.write(chunk([id]));
    call.write(complete("stop"));
  };
});

after(() => server.close("the test is over"));

interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly error: string;
}

async function run(words: readonly string[], interrupted: AbortSignal = new AbortController().signal): Promise<Ran> {
  const invocation = parseCommandLine(["generate", "--addr", address, ...words], {});
  assert.ok(invocation.t === "generate");
  const out = new PassThrough();
  const error = new PassThrough();
  const exitCode = await generate(invocation.configuration, { out, error, interrupted });
  return { exitCode, out: String(out.read() ?? ""), error: String(error.read() ?? "") };
}

test("the answer is printed with a line end, and the request carries the flags", async () => {
  const flags = "--max-tokens 50 --temperature 0.5 --top-p 0.9 --top-k 3 --seed 7 --stop zz --system Be-kind".split(
    " ",
  );
  assert.deepEqual(await run(["Hi", ...flags]), { exitCode: 0, out: "Grüß dich!\n", error: "" });
  const [request] = requests;
  assert.ok(request?.input?.$case === "tokenized" && request.stream && request.requestId !== "");
  const prompt = Buffer.from(request.input.value.inputIds).toString();
  assert.match(prompt, /Be-kind.*Hi/s);
  const { maxTokens, temperature, topP, topK, seed, stop, n } = request.samplingParams ?? {};
  assert.deepEqual(
    { maxTokens, temperature, topK, seed, stop, n },
    { maxTokens: 50, temperature: 0.5, topK: 3, seed: 7, stop: ["zz"], n: 1 },
  );
  assert.ok(Math.abs((topP ?? 0) - 0.9) < 1e-6);
});

test("--raw sends the text as it is", async () => {
  await run(["Once upon", "--raw"]);
  const input = requests[0]?.input;
  assert.ok(input?.$case === "tokenized");
  assert.deepEqual(input.value.inputIds, ids("Once upon"));
  assert.equal(requests[0]?.samplingParams?.temperature, 0);
});

test("each piece is written when it comes, in whole characters", async () => {
  const out = new PassThrough();
  const seen: string[] = [];
  const waiting: (() => void)[] = [];
  out.on("data", (bytes: Buffer) => {
    seen.push(bytes.toString());
    waiting.shift()?.();
  });
  const printed = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  answer = async (_request, call) => {
    const first = printed();
    const euro = ids("€");
    call.write(chunk([...ids("a"), ...euro.slice(0, 2)]));
    await first;
    const second = printed();
    call.write(chunk(euro.slice(2)));
    await second;
    call.write(complete("length"));
  };
  const invocation = parseCommandLine(["generate", "--addr", address, "x"], {});
  assert.ok(invocation.t === "generate");
  const interrupted = new AbortController().signal;
  assert.equal(await generate(invocation.configuration, { out, error: new PassThrough(), interrupted }), 0);
  assert.deepEqual(seen, ["a", "€", "\n"]);
});

test("the text is cut before a stop text", async () => {
  assert.equal((await run(["x", "--stop", "dich"])).out, "Grüß \n");
});

test("--json gives one object, --verbose one line about tokens", async () => {
  const { out, error } = await run(["x", "--json", "--verbose"]);
  assert.deepEqual(JSON.parse(out), {
    text: "Grüß dich!",
    token_ids: ids("Grüß dich!"),
    finish_reason: "stop",
    prompt_tokens: 5,
    completion_tokens: 12,
    cached_tokens: 2,
  });
  assert.match(error, /^5 prompt tokens \(2 cached\), 12 generated, finish stop, .* ms in all\n$/);
});

test("no server at the address says how to start one", async () => {
  const { exitCode, out, error } = await run(["x", "--addr", "127.0.0.1:1"]);
  assert.deepEqual([exitCode, out], [1, ""]);
  assert.equal(error, "error: no server answers at 127.0.0.1:1; start one with: tokenwire serve MODEL\n");
});

interface WrongAnswer {
  readonly answer?: typeof answer;
  readonly getTokenizer?: typeof getTokenizer;
  readonly sentence: RegExp;
}

test("what the server answers wrong is one sentence and exit code 1", async () => {
  const cases: readonly WrongAnswer[] = [
    {
      answer: () => Promise.reject(GrpcStatusError.of("INVALID_ARGUMENT", "sampling_params.n must be 1")),
      sentence: /answered INVALID_ARGUMENT: sampling_params\.n must be 1\n$/,
    },
    {
      getTokenizer: () => Promise.reject(GrpcStatusError.of("UNAVAILABLE", "the engine is loading")),
      sentence: /answered UNAVAILABLE: the engine is loading\n$/,
    },
    {
      getTokenizer: async (_request, call) => {
        call.write({ data: archive, sha256: "00" });
      },
      sentence: /has SHA-256/,
    },
    {
      answer: async (_request, call) => {
        call.write(chunk(ids("abcdefgh")));
      },
      sentence: /^error: The server sent more than 7 tokens\.\n$/,
    },
    { answer: async () => {}, sentence: /ended without saying how/ },
    {
      answer: async (_request, call) => {
        call.write(complete("abort"));
      },
      sentence: /ended the answer early \(abort\)/,
    },
  ];
  const well = { answer, getTokenizer };
  for (const wrong of cases) {
    ({ answer, getTokenizer } = { ...well, ...wrong });
    const { exitCode, error } = await run(["x", "--max-tokens", "7"]);
    assert.equal(exitCode, 1, error);
    assert.match(error, wrong.sentence);
    assert.equal(error.split("\n").length, 2);
  }
});

test("--timeout ends a wait", async () => {
  answer = (_request, call) => new Promise((resolve) => call.signal.addEventListener("abort", () => resolve()));
  const { exitCode, error } = await run(["x", "--timeout", "0.3"]);
  assert.deepEqual([exitCode, error], [1, "error: no answer within 0.3 s (--timeout).\n"]);
});

test("Ctrl-C cancels the call at the server and is exit code 130", async () => {
  const cancelled = Promise.withResolvers<void>();
  answer = async (_request, call) => {
    call.write(chunk(ids("one")));
    await new Promise<void>((resolve) => call.signal.addEventListener("abort", () => resolve()));
    cancelled.resolve();
  };
  const process = startTokenwire(["generate", "--addr", address, "x"]);
  await process.printed("out", "one");
  process.child.kill("SIGINT");
  assert.deepEqual(await process.finished, { exitCode: 130, out: "one", error: "" });
  await cancelled.promise;
});
