import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** An input that is kept, because it once broke a rule or shows a corner. */
export interface CorpusEntry {
  readonly name: string;
  /** What it was. */
  readonly note: string;
  readonly input: Uint8Array;
}

const folder = join(import.meta.dirname, "corpus");
const hexPerLine = 96;

/** Reads what is kept for one fuzzer: files of a line that begins with `#` and then hexadecimal digits. */
export function readCorpus(fuzzer: string): CorpusEntry[] {
  return globSync("*.hex", { cwd: join(folder, fuzzer) })
    .sort()
    .map((name) => {
      const lines = readFileSync(join(folder, fuzzer, name), "utf8").split("\n");
      const note = lines.filter((line) => line.startsWith("#")).map((line) => line.slice(1).trim());
      const hex = lines.filter((line) => !line.startsWith("#")).join("");
      return { name: `${fuzzer}/${name}`, note: note.join(" "), input: Uint8Array.from(Buffer.from(hex, "hex")) };
    });
}

/** Keeps an input and answers its file's path. */
export function writeCorpus(fuzzer: string, name: string, note: string, input: Uint8Array): string {
  mkdirSync(join(folder, fuzzer), { recursive: true });
  const hex = Buffer.from(input).toString("hex");
  const lines = hex.match(new RegExp(`.{1,${hexPerLine}}`, "g")) ?? [];
  const path = join(folder, fuzzer, `${name}.hex`);
  writeFileSync(path, `# ${note.replaceAll("\n", " ")}\n${lines.join("\n")}\n`);
  return path;
}
