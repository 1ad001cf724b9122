import { connectionFuzzer } from "./connection-fuzzer.ts";
import { frameFuzzer } from "./frame-fuzzer.ts";
import type { Fuzzer } from "./fuzzer.ts";
import { hpackFuzzer } from "./hpack-fuzzer.ts";
import { huffmanFuzzer } from "./huffman-fuzzer.ts";

/** All fuzzers by their names. */
export const fuzzers: Readonly<Record<string, Fuzzer>> = Object.fromEntries(
  [frameFuzzer, huffmanFuzzer, hpackFuzzer, connectionFuzzer].map((fuzzer) => [fuzzer.name, fuzzer] as const),
);
