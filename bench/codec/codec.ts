// Measures protobuf codecs on the two messages that tokenwire handles most: encoding the chunk of one token, decoding
// a request. Run from the repository's root:
//
//   npx node --conditions=tokenwire-source bench/codec/codec.ts [--rounds 15] [--slice-ms 60]

import assert from "node:assert/strict";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { GenerateRequest, GenerateResponse } from "../../packages/server/src/generated/vllm_engine.ts";
import { generateResponseCodec } from "../../packages/server/src/services/vllm-engine/chunk-encoder.ts";
import { strictRequest } from "../../packages/server/src/services/vllm-engine/strict-request.ts";
import { chatRequest, logprobsChunk, tokenChunk } from "./messages.ts";
import { type Candidate, measure, median } from "./rounds.ts";
import { type ForeignMessage, protobufEsMessages, protobufjsMessages } from "./runtimes.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "15" }, "slice-ms": { type: "string", default: "60" } },
});
const rounds = positive("--rounds", values.rounds);
const sliceMs = positive("--slice-ms", values["slice-ms"]);

const protobufjs = await protobufjsMessages();
const protobufEs = protobufEsMessages();
const responseName = "vllm.grpc.engine.GenerateResponse";
const requestName = "vllm.grpc.engine.GenerateRequest";

console.log(`node ${process.version}, ${cpus()[0]?.model}, ${rounds} rounds of ${sliceMs} ms each\n`);
report("encode a chunk of one token", encoders(tokenChunk()));
report("encode a chunk of one token with 5 logprobs", encoders(logprobsChunk()));
report("decode a request of 40 ids", decoders(GenerateRequest.encode(chatRequest()).finish()));

function encoders(message: GenerateResponse): readonly Candidate[] {
  const expected = Buffer.from(GenerateResponse.encode(message).finish());
  const foreign = (name: string, type: ForeignMessage): Candidate => {
    const own = type.decode(expected);
    assert.deepEqual(Buffer.from(type.encode(own)), expected, name);
    return { name, run: () => type.encode(own).length };
  };
  assert.deepEqual(Buffer.from(generateResponseCodec.encode(message).finish()), expected);
  return [
    { name: "ts-proto", run: () => GenerateResponse.encode(message).finish().length },
    { name: "by hand (used)", run: () => generateResponseCodec.encode(message).finish().length },
    foreign("protobufjs", protobufjs(responseName)),
    foreign("protobuf-es", protobufEs(responseName)),
  ];
}

function decoders(bytes: Uint8Array): readonly Candidate[] {
  const strict = strictRequest("GenerateRequest", GenerateRequest);
  assert.deepEqual(strict.decode(bytes), GenerateRequest.decode(bytes));
  const foreign = (name: string, type: ForeignMessage): Candidate => {
    assert.deepEqual(Buffer.from(type.encode(type.decode(bytes))), Buffer.from(bytes), name);
    return { name, run: () => (type.decode(bytes) === undefined ? 0 : 1) };
  };
  return [
    { name: "ts-proto", run: () => GenerateRequest.decode(bytes).requestId.length },
    { name: "ts-proto, strict (used)", run: () => strict.decode(bytes).requestId.length },
    foreign("protobufjs", protobufjs(requestName)),
    foreign("protobuf-es", protobufEs(requestName)),
  ];
}

function report(title: string, candidates: readonly Candidate[]): void {
  const measurements = measure(candidates, rounds, sliceMs);
  const base = median(measurements[0]?.rounds ?? []);
  console.log(`| ${title} | ns, median | ns, best | time / ts-proto |`);
  console.log("| --- | --- | --- | --- |");
  for (const { name, rounds: figures } of measurements) {
    const middle = median(figures);
    const best = Math.min(...figures);
    console.log(`| ${name} | ${middle.toFixed(0)} | ${best.toFixed(0)} | ${(middle / base).toFixed(2)} |`);
  }
  console.log();
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${flag}: must be an integer of at least 1, got ${text}`);
  return value;
}
