import type { GenerateRequest, KvTransferParams } from "../../../generated/vllm_engine.ts";
import { refuse, refuseUnimplemented, words } from "./refuse.ts";

/**
 * Refuses what a GenerateRequest can carry and no engine of ours takes: malformed values INVALID_ARGUMENT as vLLM's
 * servicer does, well-formed ones UNIMPLEMENTED.
 *
 * @param dpRanks number of data-parallel ranks, at least 1.
 */
export function refuseUnsupportedInput(request: GenerateRequest, dpRanks: number): void {
  const { dataParallelRank, mediaRefs } = request;
  if (dataParallelRank !== undefined && (dataParallelRank < 0 || dataParallelRank >= dpRanks)) {
    refuse("data_parallel_rank", "out of range", dataParallelRank, `from 0 to ${dpRanks - 1}`);
  }
  if (request.kvTransferParams !== undefined) refuseKvTransfer(request.kvTransferParams);
  if (request.kvTransferParamsJson !== undefined) refuseKvTransferJson(request.kvTransferParamsJson);
  if (mediaRefs !== undefined && request.input?.$case === "text") {
    refuse("media_refs", "needs token ids", words("a text prompt"), "used with tokenized input");
  }
  if (mediaRefs !== undefined && request.mmInputs !== undefined) {
    refuse("media_refs", "given together with mm_inputs", words("both"), "the only one of the two");
  }
  if (mediaRefs !== undefined) refuseUnimplemented("media_refs", "multimodal input");
  if (request.mmInputs !== undefined) refuseUnimplemented("mm_inputs", "multimodal input");
  if (request.extraMmInputs.length > 0) refuseUnimplemented("extra_mm_inputs", "multimodal input");
}

function refuseKvTransfer({ remoteHost, remotePort }: KvTransferParams): never {
  if (remoteHost === "") refuse("kv_transfer_params.remote_host", "empty", remoteHost, "a host name or address");
  if (remotePort < 1 || remotePort > 65_535) {
    refuse("kv_transfer_params.remote_port", "out of range", remotePort, "from 1 to 65535");
  }
  refuseUnimplemented("kv_transfer_params", "KV transfer");
}

function refuseKvTransferJson(json: string): never {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    refuse("kv_transfer_params_json", "not JSON", json, "a JSON object");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    refuse("kv_transfer_params_json", "not an object", json, "a JSON object");
  }
  refuseUnimplemented("kv_transfer_params_json", "KV transfer");
}
