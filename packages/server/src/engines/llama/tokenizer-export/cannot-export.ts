import { EngineError } from "../../../engine/errors.ts";

/** The error for a vocabulary that no tokenizer.json can be made from. `reason` completes "…, because …". */
export function cannotExport(path: string, reason: string): EngineError {
  return new EngineError(
    "failed-precondition",
    `The tokenizer of ${path} cannot be exported, because ${reason}. Put the tokenizer.json of the model beside the file.`,
  );
}
