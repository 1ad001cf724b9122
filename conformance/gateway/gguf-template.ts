import { readFileSync, writeFileSync } from "node:fs";
import { demoModel } from "../harness/server.ts";

/** Bytes of each scalar type of GGUF's metadata, by its number (ggml/docs/gguf.md). */
const scalarBytes: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
const stringType = 8;
const arrayType = 9;
const alignment = 32;

/** Writes the demonstration model to `path` with another chat template. It shares no code with the server's reader. */
export function writeModelWithTemplate(path: string, template: string): void {
  const file = readFileSync(demoModel);
  let at = 4 + 4;
  const count = (): number => {
    const value = Number(file.readBigUInt64LE(at));
    at += 8;
    return value;
  };
  const string = (): string => {
    const length = count();
    at += length;
    return file.toString("utf8", at - length, at);
  };
  const type = (): number => {
    at += 4;
    return file.readUInt32LE(at - 4);
  };
  const skip = (of: number): void => {
    if (of === stringType) string();
    else if (of === arrayType) {
      const element = type();
      const length = count();
      for (let i = 0; i < length; i += 1) skip(element);
    } else at += scalarBytes[of] ?? Number.NaN;
  };
  const tensors = count();
  const values = count();
  let found: { from: number; to: number } | undefined;
  for (let i = 0; i < values; i += 1) {
    const key = string();
    const of = type();
    const from = at;
    skip(of);
    if (key === "tokenizer.chat_template") found = { from, to: at };
  }
  for (let i = 0; i < tensors; i += 1) {
    string();
    const dimensions = type();
    at += dimensions * 8 + 4 + 8;
  }
  if (found === undefined) throw new Error("the demonstration model has no chat template");
  const bytes = Buffer.from(template);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  const head = Buffer.concat([file.subarray(0, found.from), length, bytes, file.subarray(found.to, at)]);
  const padding = Buffer.alloc((alignment - (head.length % alignment)) % alignment);
  writeFileSync(path, Buffer.concat([head, padding, file.subarray(Math.ceil(at / alignment) * alignment)]));
}
