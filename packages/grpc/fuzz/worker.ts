import { parentPort, workerData } from "node:worker_threads";
import { Campaign, fileNameOf } from "./campaign.ts";
import { readCorpus } from "./corpus.ts";
import { fuzzers } from "./fuzzers.ts";
import { Random } from "./random.ts";

/** What a thread is to run. */
export interface Task {
  readonly name: string;
  readonly inputs: number;
  readonly seed: number;
  readonly maxMs: number;
  /** Eight bytes, how many inputs have begun and how long the last one is, and then the last one. */
  readonly shared: SharedArrayBuffer;
}

/** How a thread's run ended. */
export interface Report {
  readonly inputs: number;
  readonly outcomes: number;
  readonly finding: { readonly sentence: string; readonly input: Uint8Array; readonly fileName: string } | undefined;
}

/** Between two looks at the clock. */
const inputsPerLook = 500;

const { name, inputs, seed, maxMs, shared } = workerData as Task;
const fuzzer = fuzzers[name];
if (fuzzer === undefined) throw new Error(`there is no fuzzer ${name}`);
const current = new Int32Array(shared, 0, 2);
const lastInput = new Uint8Array(shared, 8);
const corpus = readCorpus(name).map(({ input }) => input);
const campaign = new Campaign(fuzzer, corpus, new Random(seed));
const endsAtMs = performance.now() + maxMs;
let finding: Awaited<ReturnType<Campaign["run"]>>;
while (finding === undefined && campaign.inputs < inputs && performance.now() < endsAtMs) {
  finding = await campaign.run(Math.min(inputsPerLook, inputs - campaign.inputs), (input) => {
    lastInput.set(input.subarray(0, lastInput.length));
    current[1] = Math.min(input.length, lastInput.length);
    current[0] = campaign.inputs + 1;
  });
}
const report: Report = {
  inputs: campaign.inputs,
  outcomes: campaign.outcomes,
  finding:
    finding === undefined
      ? undefined
      : { sentence: finding.sentence, input: finding.smallest, fileName: fileNameOf(finding) },
};
parentPort?.postMessage(report);
