import { basename, dirname, join } from "node:path";
import { EngineError } from "../../../engine/errors.ts";
import type { GgufValue } from "./gguf-value.ts";

const maxParts = 1_024;

/** llama.cpp finds the other parts by this name alone (`llama_split_prefix` in `src/llama.cpp`). */
const partName = /^(?<stem>.*)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$/;

/**
 * The further files of a model that is split over several, empty for a model in one file. Throws failed-precondition
 * when `path` is not the first part (the sentence names the first) or is not named as llama.cpp expects it.
 */
export function otherParts(path: string, metadata: ReadonlyMap<string, GgufValue>): readonly string[] {
  const count = smallNumber(metadata.get("split.count")) ?? 1;
  if (count <= 1) return [];
  if (count > maxParts)
    throw refused(path, `it says that it is split in ${count} parts, and at most ${maxParts} are read`);
  const name = partName.exec(basename(path))?.groups;
  const stem = name?.stem;
  if (stem === undefined || Number(name?.count) !== count) {
    throw refused(
      path,
      `it is one of ${count} parts of a split model and is not named so. Name the parts NAME-00001-of-${five(count)}.gguf and so on, and use the first`,
    );
  }
  const partPath = (part: number): string => join(dirname(path), `${stem}-${five(part)}-of-${five(count)}.gguf`);
  const number = (smallNumber(metadata.get("split.no")) ?? 0) + 1;
  if (number !== 1 || Number(name?.number) !== 1) {
    throw refused(path, `it is part ${number} of a split model. Use the first part, ${partPath(1)}`);
  }
  return Array.from({ length: count - 1 }, (_, index) => partPath(index + 2));
}

function five(part: number): string {
  return String(part).padStart(5, "0");
}

function smallNumber(value: GgufValue | undefined): number | undefined {
  return value !== undefined && "value" in value && typeof value.value === "number" ? value.value : undefined;
}

function refused(path: string, fault: string): EngineError {
  return new EngineError("failed-precondition", `${path} cannot be used as a model: ${fault}.`);
}
