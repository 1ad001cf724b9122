import type { EngineCoreError } from "@tokenwire/engine-core";
import { EngineError } from "../../engine/errors.ts";

/** An error of the client, whose class is not imported: the package is optional and loaded when an engine starts. */
function isEngineCoreError(thrown: unknown): thrown is EngineCoreError {
  return thrown instanceof Error && thrown.name === "EngineCoreError" && "fault" in thrown;
}

/** What the client threw, in the words of the engine contract. */
export function engineErrorOf(thrown: unknown): EngineError {
  if (!isEngineCoreError(thrown)) return EngineError.from(thrown);
  const { fault, message } = thrown;
  switch (fault.kind) {
    case "not-ready":
    case "dead":
    case "closed":
    case "bad-frame":
    case "call-failed":
      return new EngineError("unavailable", message, { cause: thrown });
    case "no-zeromq":
    case "cannot-bind":
      return new EngineError("failed-precondition", message, { cause: thrown });
    case "invalid-request": {
      const field = protoFieldOf(fault.field);
      const wire = `${fault.field}: `;
      const sentence = message.startsWith(wire) ? message.slice(wire.length) : message;
      return new EngineError("invalid-argument", `${field}: ${sentence}`, { field, cause: thrown });
    }
  }
}

/** The name in proto/vllm_engine.proto of a field on the engine's wire. */
function protoFieldOf(field: string): string {
  if (field.startsWith("prompt_token_ids")) return field.replace("prompt_token_ids", "tokenized.input_ids");
  if (["request_id", "priority"].includes(field)) return field;
  // The proto has the constraints beside the other parameters, and a name of its own for one.
  const name = field.replace(/^sampling_params\./, "").replace(/^structured_outputs\./, "");
  return `sampling_params.${name === "json" ? "json_schema" : name}`;
}
