import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type Server, startServer } from "../harness/server.ts";
import { bytes, float, flood, int, packed } from "./protobuf-bytes.ts";
import { answerOf, bias, embed, generate, held, param, reference, service } from "./requests.ts";
import { type Ended, framed, type Manner, Stranger } from "./stranger.ts";

const OK = 0;
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const MiB = 1024 * 1024;

let server: Server;
let stranger: Stranger;
before(async () => {
  server = await startServer(["--max-num-seqs", "4"]);
  stranger = new Stranger(server.target);
});
after(() => {
  stranger?.leave();
  server?.kill();
});

async function ends(ending: Promise<Ended>, status: number, words: RegExp): Promise<void> {
  const { status: got, details, hung } = await ending;
  assert.deepEqual({ status: got, hung }, { status, hung: false }, details);
  assert.match(details, words);
}

const sampling = (...fields: Buffer[]): Buffer => generate({ sampling: [int(param.maxTokens, 8), ...fields] });
const nan = Number.NaN;
const maxUint32 = 2 ** 32 - 1;

describe("a Generate with a field that is wrong ends INVALID_ARGUMENT and names it", () => {
  const wrong: readonly (readonly [string, Buffer, RegExp])[] = [
    ["an empty id", generate({ id: "" }), /^request_id: empty/],
    ["an id too long", generate({ id: "x".repeat(257) }), /^request_id: too long/],
    ["an id with a line end", generate({ id: "a\nb" }), /^request_id: not printable/],
    ["an id that is not UTF-8", generate({ id: Buffer.from([0xff]) }), /not UTF-8/],
    ["a text with a lone surrogate", generate({ text: Buffer.from([0xed, 0xa0, 0x80]) }), /not UTF-8/],
    ["an empty text", generate({ text: "" }), /^text: empty/],
    ["a text of many tokens", generate({ text: " ".repeat(60_000) }), /^text: the prompt has 60000 tokens/],
    ["a text of many bytes", generate({ text: "a".repeat(70_000) }), /^text: too long, got 70000 bytes/],
    ["no ids", generate({ ids: [] }), /^tokenized.input_ids: empty/],
    ["an id at the end of the vocabulary", generate({ ids: [1, 2048] }), /^tokenized.input_ids\[1\]: outside/],
    ["the highest id", generate({ ids: [maxUint32] }), /got 4294967295; must be from 0 to 2047/],
    ["a prompt that fills the context", generate({ ids: Array(2048).fill(5) }), /too long, got 2048 tokens/],
    ["temperature NaN", sampling(float(param.temperature, nan)), /temperature: not a finite number/],
    ["temperature -1", sampling(float(param.temperature, -1)), /temperature: out of range/],
    ["top_p NaN", sampling(float(param.topP, nan)), /top_p: out of range/],
    ["min_p infinite", sampling(float(param.minP, Number.POSITIVE_INFINITY)), /min_p: not a finite number/],
    ["frequency_penalty 3", sampling(float(param.frequencyPenalty, 3)), /frequency_penalty: out of range, got 3/],
    ["presence_penalty NaN", sampling(float(param.presencePenalty, nan)), /presence_penalty: not a finite/],
    ["repetition_penalty -1", sampling(float(param.repetitionPenalty, -1)), /repetition_penalty: out of range/],
    ["max_tokens 0", sampling(int(param.maxTokens, 0)), /max_tokens: out of range/],
    ["min_tokens over max_tokens", sampling(int(param.minTokens, 9)), /min_tokens: out of range, got 9/],
    ["the highest n", sampling(int(param.n, maxUint32)), /n: out of range, got 4294967295/],
    ["n without sampling", sampling(int(param.n, 2), float(param.temperature, 0)), /n must be 1 when using greedy/],
    ["logprobs 21", sampling(int(param.logprobs, 21)), /sampling_params.logprobs: out of range/],
    ["prompt_logprobs of all", sampling(int(param.promptLogprobs, -1)), /prompt_logprobs: more than allowed/],
    ["a stop too long", sampling(bytes(param.stop, "x".repeat(1025))), /stop\[0\]: too long/],
    ["stops too many", sampling(...Array(65).fill(bytes(param.stop, "x"))), /stop: too many, got 65/],
    ["a stop id outside", sampling(packed(param.stopTokenIds, [2048])), /stop_token_ids\[0\]: outside/],
    ["a bias outside", sampling(bias(-1, 1)), /logit_bias: key outside the vocabulary, got -1/],
    ["a bias of NaN", sampling(bias(1, nan)), /logit_bias\[1\]: not a finite number/],
    ["a truncation below", sampling(int(param.truncatePromptTokens, -2)), /truncate_prompt_tokens: out of range/],
    ["a schema that is not JSON", sampling(bytes(param.jsonSchema, "{")), /json_schema: not JSON/],
    [
      "a schema too deep",
      sampling(bytes(param.jsonSchema, `${'{"not":'.repeat(99)}{}${"}".repeat(99)}`)),
      /json_schema/,
    ],
    ["a schema of itself", sampling(bytes(param.jsonSchema, '{"$ref":"#"}')), /json_schema/],
    ["a regex of open groups", sampling(bytes(param.regex, "(".repeat(5000))), /regex/],
    ["a regex that explodes", sampling(bytes(param.regex, "(a{0,1000}){0,1000}b{99999}c{99999}")), /regex/],
    ["a grammar of itself", sampling(bytes(param.grammar, "root ::= root")), /grammar/],
    ["a grammar that doubles", sampling(bytes(param.grammar, doubling(30))), /grammar/],
    ["a grammar of open groups", sampling(bytes(param.grammar, `root ::= ${"(".repeat(60_000)}`)), /grammar/],
    ["no choice", sampling(bytes(param.choice, "")), /choice.choices: empty/],
    ["json_object off", sampling(int(param.jsonObject, 0)), /json_object: chosen and off/],
    ["a field cut short", generate().subarray(0, -1), /^not a valid GenerateRequest/],
    ["a wire type that is none", Buffer.from([0x0f]), /not a valid GenerateRequest/],
  ];
  for (const [what, message, words] of wrong) {
    test(what, () => ends(stranger.call(`${service}Generate`, message), INVALID_ARGUMENT, words));
  }
});

describe("a message that would grow in memory is refused before it does", () => {
  const grows: readonly (readonly [string, string, Buffer])[] = [
    ["32 million empty nested messages", "Generate", flood([0x5a, 0], 63 * MiB)],
    ["empty entries of a map", "Generate", bytes(4, flood([0xd2, 1, 0], 32 * MiB))],
    ["67 million token ids", "Generate", bytes(2, bytes(2, flood([5], 63 * MiB)))],
    ["empty stop strings", "Generate", bytes(4, flood([0x52, 0], 32 * MiB))],
    ["empty ids to abort", "Abort", flood([0x0a, 0], 32 * MiB)],
    ["unknown fields", "GetLoads", flood([0x98, 6, 1], 32 * MiB)],
  ];
  for (const [what, method, message] of grows) {
    test(what, () =>
      ends(stranger.call(service + method, message), INVALID_ARGUMENT, /too many fields and numbers; must be at most/),
    );
  }

  test("a gzip bomb", () =>
    ends(
      stranger.call(`${service}Generate`, Buffer.alloc(0), {
        headers: { "grpc-encoding": "gzip" },
        body: framed(gzipSync(Buffer.alloc(256 * MiB)), 1),
      }),
      RESOURCE_EXHAUSTED,
      /inflates to more than the 67108864 bytes/,
    ));
});

describe("a body that is no gRPC message ends the call and nothing else", () => {
  const bodies: readonly (readonly [string, Manner, number])[] = [
    ["no message", { body: Buffer.alloc(0) }, UNIMPLEMENTED],
    ["two messages", { body: Buffer.concat([framed(generate()), framed(generate())]) }, UNIMPLEMENTED],
    ["a prefix cut short", { body: Buffer.from([0, 0]) }, INTERNAL],
    ["a length of 4 GiB", { body: Buffer.from([0, 255, 255, 255, 255, 1]) }, RESOURCE_EXHAUSTED],
    ["an unknown compression", { headers: { "grpc-encoding": "zstd" }, body: framed(generate(), 1) }, UNIMPLEMENTED],
    ["broken gzip", { headers: { "grpc-encoding": "gzip" }, body: framed(Buffer.from("no"), 1) }, INTERNAL],
    ["a deadline that has passed", { headers: { "grpc-timeout": "0m" } }, DEADLINE_EXCEEDED],
    ["a deadline of a nanosecond", { headers: { "grpc-timeout": "1n" } }, DEADLINE_EXCEEDED],
  ];
  for (const [what, manner, status] of bodies) {
    test(what, () => ends(stranger.call(`${service}Generate`, generate(), manner), status, /./));
  }

  test("an unknown method", () => ends(stranger.call(`${service}Nope`, generate()), UNIMPLEMENTED, /Nope/));

  test("another content type is HTTP 415", async () => {
    const manner = { headers: { "content-type": "application/json" } };
    assert.equal((await stranger.call(`${service}Generate`, generate(), manner)).http, 415);
  });
});

describe("an extreme that is allowed is served", () => {
  const choice = bytes(param.choice, bytes(1, "a"));
  const everyToken = Array.from({ length: 2048 }, (_, id) => bias(id, -100));
  const allowed: readonly (readonly [string, Buffer])[] = [
    ["min_tokens beyond the end of a choice", sampling(choice, int(param.minTokens, 8))],
    [
      "the same for 16 outputs with logprobs",
      sampling(choice, int(param.minTokens, 8), int(param.n, 16), int(param.logprobs, 20)),
    ],
    ["every token pushed down", sampling(...everyToken, int(param.logprobs, 20))],
    ["the highest temperature", sampling(float(param.temperature, 3.4e38), float(param.minP, 1))],
    ["the smallest top_p", sampling(float(param.topP, 1e-45))],
    ["the smallest repetition_penalty", sampling(float(param.repetitionPenalty, 1e-45))],
    [
      "the highest top_k, max_tokens and seed",
      sampling(int(param.topK, maxUint32), int(param.maxTokens, maxUint32), int(param.seed, 2 ** 31 - 1)),
    ],
    ["128 outputs over 4 slots", generate({ whole: true, sampling: [int(param.maxTokens, 2), int(param.n, 128)] })],
    [
      "a full context with logprobs",
      generate({ ids: Array(2047).fill(7), sampling: [int(param.logprobs, 20), int(param.promptLogprobs, 20)] }),
    ],
    [
      "a truncated text",
      generate({ text: "\0".repeat(60_000), sampling: [int(param.truncatePromptTokens, -1), int(param.maxTokens, 1)] }),
    ],
  ];
  for (const [what, message] of allowed) {
    test(what, () => ends(stranger.call(`${service}Generate`, message), OK, /^$/));
  }

  test("an embedding of a full context", () =>
    ends(stranger.call(`${service}Embed`, embed(Array(2048).fill(5))), OK, /^$/));
});

test("after all of it the engine is the same process, holds nothing, has logged no error, and answers as before", async () => {
  assert.deepEqual(await held(stranger), { running: 0, waiting: 0, calls: 0 });
  const { request, ids } = reference(0);
  assert.deepEqual(answerOf(await stranger.call(`${service}Generate`, request)).ids, ids);
  assert.doesNotMatch(server.log(), /"level":"(?:warn|error|fatal)"/);
  stranger.leave();
  await server.stop();
});

/** Rules whose left recursion check would walk 2^levels paths. */
function doubling(levels: number): string {
  const rules = Array.from({ length: levels }, (_, i) => `r${i} ::= r${i + 1} | r${i + 1}`);
  return [...rules, `r${levels} ::= "a"`, "root ::= r0"].join("\n");
}
