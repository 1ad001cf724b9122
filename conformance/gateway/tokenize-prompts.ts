import assert from "node:assert/strict";
import { join } from "node:path";
import { run } from "../harness/processes.ts";
import { root } from "../harness/server.ts";
import { program, gateway as tool } from "../harness/tools.ts";

/** A conversation and the template to render it in, without the answer that it asks for. */
export interface Conversation {
  readonly template: string;
  readonly messages: readonly object[];
  readonly tools?: readonly object[];
}

/**
 * The token ids of texts and conversations in the demonstration model's vocabulary, by programs that are neither ours nor
 * the gateway's: Jinja2 and Hugging Face's tokenizers.
 */
export async function tokenIdsOf(prompts: readonly (string | Conversation)[]): Promise<number[][]> {
  const tokenizer = join(root, "models", "demo", "hf", "tokenizer.json");
  const script = join(import.meta.dirname, "tokenize_prompts.py");
  const { stdout, stderr } = await run(program(tool, "python"), [script, tokenizer, JSON.stringify(prompts)]);
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}
