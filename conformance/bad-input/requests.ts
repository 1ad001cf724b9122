import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../harness/server.ts";
import { bytes, bytesOf, fieldsOf, float, int, intOf, packed, unpacked } from "./protobuf-bytes.ts";
import type { Ended, Stranger } from "./stranger.ts";

export const service = "/vllm.grpc.engine.VllmEngine/";

/** Field numbers of SamplingParams (proto/vllm_engine.proto). */
export const param = {
  temperature: 1,
  topP: 2,
  topK: 3,
  minP: 4,
  frequencyPenalty: 5,
  presencePenalty: 6,
  repetitionPenalty: 7,
  maxTokens: 8,
  minTokens: 9,
  stop: 10,
  stopTokenIds: 11,
  ignoreEos: 13,
  n: 15,
  jsonSchema: 16,
  regex: 17,
  grammar: 18,
  structuralTag: 19,
  jsonObject: 20,
  choice: 21,
  logprobs: 22,
  promptLogprobs: 23,
  seed: 24,
  logitBias: 26,
  truncatePromptTokens: 27,
} as const;

let serial = 0;

export interface Generate {
  readonly id?: string | Buffer;
  readonly ids?: readonly number[];
  readonly text?: string | Buffer;
  readonly whole?: boolean;
  readonly sampling?: readonly Buffer[];
  readonly more?: Buffer;
}

/** A GenerateRequest: 1 request_id, 2 tokenized, 3 text, 4 sampling_params, 5 stream. */
export function generate(request: Generate = {}): Buffer {
  serial += 1;
  return Buffer.concat([
    bytes(1, request.id ?? `g${serial}`),
    request.text === undefined ? bytes(2, packed(2, request.ids ?? [1, 297, 202, 378])) : bytes(3, request.text),
    bytes(4, Buffer.concat(request.sampling ?? [int(param.maxTokens, 8)])),
    int(5, request.whole === true ? 0 : 1),
    request.more ?? Buffer.alloc(0),
  ]);
}

/** An EmbedRequest: 1 request_id, 2 tokenized. */
export function embed(ids: readonly number[] = [1, 297, 202], id?: string): Buffer {
  serial += 1;
  return Buffer.concat([bytes(1, id ?? `e${serial}`), bytes(2, packed(2, ids))]);
}

/** One entry of logit_bias. */
export function bias(tokenId: number, value: number): Buffer {
  return bytes(param.logitBias, Buffer.concat([int(1, tokenId), float(2, value)]));
}

/** What a streamed Generate gave: the ids of index 0 from its chunks, and how many outputs have ended. */
export function answerOf({ messages }: Ended): { readonly ids: number[]; readonly completes: number } {
  const ids: number[] = [];
  let completes = 0;
  for (const field of messages.flatMap(fieldsOf)) {
    if (!("bytes" in field)) continue;
    if (field.number === 2) completes += 1;
    else if (intOf(field.bytes, 7) === 0) ids.push(...bytesOf(field.bytes, 1).flatMap(unpacked));
  }
  return { ids, completes };
}

interface Reference {
  readonly promptIds: readonly number[];
  readonly generatedIds: readonly number[];
}

/** Greedy answers of Hugging Face transformers to the demonstration model's prompts. */
export const references: readonly Reference[] = (
  JSON.parse(readFileSync(join(root, "models/demo/reference/reference-ids.json"), "utf8")) as { prompts: Reference[] }
).prompts;

/** The reference's prompt, greedily. */
export function reference(index: number): { readonly request: Buffer; readonly ids: readonly number[] } {
  const { promptIds, generatedIds } = references[index % references.length] as Reference;
  const sampling = [float(param.temperature, 0), int(param.maxTokens, 64)];
  return { request: generate({ ids: promptIds, sampling }), ids: generatedIds };
}

/** What the server says it holds: requests that run and wait (GetLoads), and calls in flight (GetServerInfo). */
export async function held(stranger: Stranger): Promise<{ running: number; waiting: number; calls: number }> {
  const loads = await stranger.call(`${service}GetLoads`, Buffer.alloc(0));
  const info = await stranger.call(`${service}GetServerInfo`, Buffer.alloc(0));
  const [load] = loads.messages.flatMap((message) => bytesOf(message, 4));
  if (load === undefined || info.messages[0] === undefined) throw new Error(`no figures: ${loads.details}`);
  return { running: intOf(load, 2), waiting: intOf(load, 3), calls: intOf(info.messages[0], 1) };
}
