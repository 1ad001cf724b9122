/**
 * Fuzzes @tokenwire/grpc. From the repository's root:
 *
 *     npx node --conditions=tokenwire-source packages/grpc/fuzz/run.ts
 *         [--only frame,hpack] [--inputs N] [--minutes M] [--seed S]
 *
 * Each fuzzer runs in turn until it has had its inputs (default 100,000 each) or its share of the minutes. A line tells
 * the progress each few seconds. An input that breaks a rule is made as small as it can be, is written into
 * packages/grpc/fuzz/corpus/, and the run ends with 1; so does one that does not come to its end. The same seed makes
 * the same inputs; the default is the time, and it is printed.
 */
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { writeCorpus } from "./corpus.ts";
import { fuzzers } from "./fuzzers.ts";
import type { Report, Task } from "./worker.ts";

/** An input that takes longer is a hang; the slowest take a few milliseconds. */
const hangMs = 30_000;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    inputs: { type: "string" },
    minutes: { type: "string" },
    seed: { type: "string", default: String(Date.now()) },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`usage: run.ts [--only ${Object.keys(fuzzers).join(",")}] [--inputs N] [--minutes M] [--seed S]`);
  process.exit(0);
}
const names = values.only?.split(",") ?? Object.keys(fuzzers);
const unknown = names.find((name) => !(name in fuzzers));
if (unknown !== undefined) fail(`--only: there is no fuzzer ${unknown}; there are ${Object.keys(fuzzers).join(", ")}`);
const seed = positive("--seed", values.seed);
const minutes = values.minutes === undefined ? Number.POSITIVE_INFINITY : positive("--minutes", values.minutes);
const inputs =
  values.inputs === undefined
    ? minutes < Number.POSITIVE_INFINITY
      ? Number.MAX_SAFE_INTEGER
      : 100_000
    : positive("--inputs", values.inputs);

console.log(`seed ${seed}`);
let findings = 0;
let total = 0;
const startedAtMs = performance.now();
for (const name of names) {
  const report = await fuzz({ name, inputs, seed, maxMs: (minutes * 60_000) / names.length });
  total += report.inputs;
  if (report.finding === undefined) continue;
  findings += 1;
  const { sentence, input } = report.finding;
  const path = writeCorpus(name, report.finding.fileName, sentence.split("\n")[0] as string, input);
  console.error(`${name}: ${sentence}\nkept as ${path}`);
}
const seconds = (performance.now() - startedAtMs) / 1000;
console.log(`${total.toLocaleString("en")} inputs in ${seconds.toFixed(0)} s, ${findings} findings`);
process.exit(findings === 0 ? 0 : 1);

/** Runs one fuzzer in a thread of its own, so that this one can see it hang. */
function fuzz(task: Omit<Task, "shared">): Promise<Report> {
  const shared = new SharedArrayBuffer(8 + 65_536);
  const current = new Int32Array(shared, 0, 2);
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: { ...task, shared } });
  return new Promise((resolve, reject) => {
    let last = 0;
    let stillMs = 0;
    const everyMs = 5_000;
    const watch = setInterval(() => {
      const done = current[0] as number;
      stillMs = done === last ? stillMs + everyMs : 0;
      last = done;
      console.log(`${task.name}: ${done.toLocaleString("en")} inputs`);
      if (stillMs < hangMs) return;
      const input = Uint8Array.from(new Uint8Array(shared, 8, current[1]));
      finish({ inputs: done, outcomes: 0, finding: { sentence: "does not come to its end", input, fileName: "hang" } });
    }, everyMs);
    function finish(report: Report): void {
      clearInterval(watch);
      void worker.terminate();
      resolve(report);
    }
    worker.on("message", (report: Report) => {
      console.log(
        `${task.name}: ${report.inputs.toLocaleString("en")} inputs, ${report.outcomes.toLocaleString("en")} kinds of outcome`,
      );
      finish(report);
    });
    worker.on("error", (thrown) => {
      clearInterval(watch);
      reject(thrown);
    });
  });
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) fail(`${flag} is ${text}; it must be a number above 0`);
  return value;
}

function fail(sentence: string): never {
  console.error(sentence);
  process.exit(1);
}
