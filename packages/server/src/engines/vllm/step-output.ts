import type { EngineCoreOutput, LogprobsTensors } from "@tokenwire/engine-core";
import type { LogprobTable } from "./output/logprobs.ts";
import type { StepEnd, StepOutput } from "./output/output-sequence.ts";

/** A step of one request as the client decoded it, in the words of {@link StepOutput}. */
export function stepOutputOf(output: EngineCoreOutput): StepOutput {
  return {
    tokenIds: output.newTokenIds,
    logprobs: output.newLogprobs === undefined ? undefined : tableOf(output.newLogprobs),
    promptLogprobs: output.newPromptLogprobs === undefined ? undefined : tableOf(output.newPromptLogprobs),
    cachedTokens: output.prefillStats?.cachedTokens,
    end: endOf(output),
  };
}

function tableOf({ tokenIds, logprobs }: LogprobsTensors): LogprobTable {
  const [rows = 0, columns = 0] = tokenIds.shape;
  // Tables of different shapes come from no engine; what is missing in one would be read as NaN.
  const fits = tokenIds.values.length === rows * columns && logprobs.values.length === rows * columns;
  return { rows: fits ? rows : 0, columns, tokenIds: tokenIds.values, logprobs: logprobs.values };
}

function endOf({ finishReason, stopReason, error }: EngineCoreOutput): StepEnd | undefined {
  switch (finishReason) {
    case undefined:
      return undefined;
    case "stop":
    case "repetition":
      // We ask for no repetition detection; it would be the engine's own rule that ends the output.
      return { t: "stop", tokenId: typeof stopReason === "number" ? stopReason : undefined };
    case "length":
      return { t: "length" };
    case "abort":
      return { t: "abort" };
    case "error":
      return { t: "error", message: error };
  }
}
