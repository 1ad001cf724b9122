import assert from "node:assert/strict";
import { test } from "node:test";
import { describeProgram, parseCommandLine } from "./command-line.ts";
import { unsupportedFlags, unsupportedSentence } from "./unsupported.ts";

test("each recognised vLLM flag is answered with a sentence that names it", () => {
  for (const flag of unsupportedFlags) {
    const run = (): unknown => parseCommandLine(["serve", "model.gguf", flag], {});
    const message = new RegExp(`^${flag} is a vLLM flag that tokenwire does not have: .+\\.$`);
    assert.throws(run, { name: "UsageError", message }, flag);
  }
});

test("the table and the flags of serve have no name in common", () => {
  const serve = describeProgram().commands.find((command) => command.name() === "serve");
  const own = serve?.options.map((option) => option.long) ?? [];
  assert.ok(own.includes("--max-model-len"));
  assert.deepEqual(
    unsupportedFlags.filter((flag) => own.includes(flag)),
    [],
  );
  assert.equal(new Set(unsupportedFlags).size, unsupportedFlags.length);
});

test("the forms in which vLLM takes a flag are recognised", () => {
  for (const typed of [
    "--dtype=float16",
    "--tensor_parallel_size",
    "--tensor-parallel-size=2",
    "-tp",
    "-O3",
    "--compilation-config.mode",
  ]) {
    assert.match(unsupportedSentence(typed) ?? "", /is a vLLM flag/, typed);
  }
});

test("a flag that nobody has is a typing error, with the nearest name", () => {
  assert.equal(unsupportedSentence("--dtyp"), undefined);
  assert.throws(() => parseCommandLine(["serve", "model.gguf", "--prt", "1"], {}), {
    name: "UsageError",
    message: "unknown option '--prt' (Did you mean --port?)",
  });
});
