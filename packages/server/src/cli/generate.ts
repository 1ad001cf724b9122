import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { collectTokenizer, TokenizerError } from "../client/collect-tokenizer.ts";
import { createEngineClient, type EngineClient, isConnectionFailure, isServiceError } from "../client/engine-client.ts";
import { StopText } from "../client/stop-text.ts";
import { type ChatMessage, createTextTokenizer, type TextTokenizer } from "../client/text-tokenizer.ts";
import { type GenerateComplete, GenerateRequest, SamplingParams } from "../generated/vllm_engine.ts";
import { StatusCode } from "../rpc/status.ts";
import { IncrementalDecoder } from "../text/incremental-decoder.ts";
import type { GenerateConfiguration } from "./configuration.ts";
import { ExitCode } from "./exit-code.ts";
import { formatAddress } from "./value-parsers.ts";

/** What `generate` touches of its process. */
export interface GenerateConsole {
  readonly out: Writable;
  readonly error: Writable;
  /** Fires on Ctrl-C, or when nobody reads `out` any more. */
  readonly interrupted: AbortSignal;
}

/** The server's answer is not one; the message is a sentence. */
class AnswerError extends Error {
  override readonly name = "AnswerError";
}

/** How an answer ended. */
interface Answer {
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly complete: GenerateComplete;
}

/**
 * Asks a server for an answer and writes it as it comes. Answers the exit code; everything that fails is one sentence
 * on `error`. An interrupt cancels the call, so that the server stops computing at once.
 */
export async function generate(
  configuration: GenerateConfiguration,
  console: GenerateConsole = processConsole(),
): Promise<ExitCode> {
  const client = createEngineClient(formatAddress(configuration));
  try {
    return await ask(client, configuration, console);
  } catch (thrown) {
    if (console.interrupted.aborted) return ExitCode.INTERRUPTED;
    console.error.write(`error: ${sentenceOf(thrown, configuration)}\n`);
    return ExitCode.FAILED;
  } finally {
    client.close();
  }
}

async function ask(
  client: EngineClient,
  configuration: GenerateConfiguration,
  console: GenerateConsole,
): Promise<ExitCode> {
  const startedMs = performance.now();
  const { timeoutMs } = configuration;
  const deadline = timeoutMs === undefined ? {} : { deadlineMs: Date.now() + timeoutMs };

  const archive = await during(console, client.getTokenizer(deadline), collectTokenizer);
  const tokenizer = createTextTokenizer(archive);
  const promptIds = encodePrompt(tokenizer, configuration);

  const askedMs = performance.now();
  const call = client.generate(requestOf(configuration, promptIds), deadline);
  let firstTokenMs: number | undefined;
  const decoder = new IncrementalDecoder(tokenizer.decode, configuration.raw ? promptIds : []);
  const answer = await during(console, call, (responses) =>
    readAnswer(responses, configuration.maxTokens, decoder, new StopText(configuration.stop), async (text) => {
      firstTokenMs ??= performance.now();
      if (!configuration.json) await write(console, text);
    }),
  );

  const { complete } = answer;
  if (configuration.json) await write(console, `${JSON.stringify(jsonOf(answer))}\n`);
  else if (!answer.text.endsWith("\n")) await write(console, "\n");
  if (configuration.verbose) {
    const first = firstTokenMs === undefined ? "" : `, first text after ${Math.round(firstTokenMs - askedMs)} ms`;
    console.error.write(
      `${complete.promptTokens} prompt tokens (${complete.cachedTokens} cached), ${answer.tokenIds.length} generated, finish ${complete.finishReason}${first}, ${Math.round(performance.now() - startedMs)} ms in all\n`,
    );
  }
  if (complete.finishReason === "abort" || complete.finishReason === "error") {
    console.error.write(`error: the server ended the answer early (${complete.finishReason}).\n`);
    return ExitCode.FAILED;
  }
  return ExitCode.OK;
}

function encodePrompt(tokenizer: TextTokenizer, { text, system, raw }: GenerateConfiguration): readonly number[] {
  if (raw) return tokenizer.encodePlain(text);
  const messages: ChatMessage[] = [{ role: "user", content: text }];
  if (system !== undefined) messages.unshift({ role: "system", content: system });
  return tokenizer.encodeChat(messages);
}

function requestOf(configuration: GenerateConfiguration, promptIds: readonly number[]): GenerateRequest {
  const { text, maxTokens, temperature, topP, topK, seed, stop } = configuration;
  return GenerateRequest.fromPartial({
    requestId: `generate-${randomUUID()}`,
    input: { $case: "tokenized", value: { originalText: text, inputIds: [...promptIds] } },
    stream: true,
    samplingParams: SamplingParams.fromPartial({
      maxTokens,
      temperature,
      stop: [...stop],
      n: 1,
      skipSpecialTokens: true,
      ...(topP === undefined ? {} : { topP }),
      ...(topK === undefined ? {} : { topK }),
      ...(seed === undefined ? {} : { seed }),
    }),
  });
}

/** Reads chunks until the Complete, handing on text as soon as it is certain. */
async function readAnswer(
  responses: ReturnType<EngineClient["generate"]>,
  maxTokens: number,
  decoder: IncrementalDecoder,
  stopText: StopText,
  print: (text: string) => Promise<void>,
): Promise<Answer> {
  const tokenIds: number[] = [];
  let text = "";
  const add = async (more: string): Promise<void> => {
    if (more === "") return;
    text += more;
    await print(more);
  };
  let complete: GenerateComplete | undefined;
  for await (const { response } of responses) {
    switch (response?.$case) {
      case "chunk":
        for (const tokenId of response.value.tokenIds) tokenIds.push(tokenId);
        // Nothing else bounds what a server may send.
        if (tokenIds.length > maxTokens) throw new AnswerError(`The server sent more than ${maxTokens} tokens.`);
        await add(stopText.push(decoder.push(response.value.tokenIds)));
        break;
      case "complete":
        // Its ids repeat the last chunk's (vLLM's servicer does so), so they are not counted again.
        complete = response.value;
        break;
      case undefined:
        break;
    }
  }
  if (complete === undefined) throw new AnswerError("The server's answer ended without saying how.");
  await add(stopText.push(decoder.end()));
  await add(stopText.end());
  return { text, tokenIds, complete };
}

function jsonOf({ text, tokenIds, complete }: Answer): Record<string, unknown> {
  return {
    text,
    token_ids: tokenIds,
    finish_reason: complete.finishReason,
    prompt_tokens: complete.promptTokens,
    completion_tokens: tokenIds.length,
    cached_tokens: complete.cachedTokens,
  };
}

/** Does the work with a call and cancels the call when it is interrupted meanwhile, or when the work fails. */
async function during<Call extends { cancel(): void }, T>(
  console: GenerateConsole,
  call: Call,
  work: (call: Call) => Promise<T>,
): Promise<T> {
  const cancel = (): void => call.cancel();
  if (console.interrupted.aborted) cancel();
  console.interrupted.addEventListener("abort", cancel, { once: true });
  try {
    return await work(call);
  } catch (thrown) {
    cancel();
    throw thrown;
  } finally {
    console.interrupted.removeEventListener("abort", cancel);
  }
}

async function write({ out, interrupted }: GenerateConsole, text: string): Promise<void> {
  if (!out.write(text)) await once(out, "drain", { signal: interrupted });
}

function processConsole(): GenerateConsole {
  const controller = new AbortController();
  // Once: a second Ctrl-C ends the process the usual way.
  process.once("SIGINT", () => controller.abort());
  process.once("SIGTERM", () => controller.abort());
  // A reader that left (`| head -c 20`) is no error of ours.
  process.stdout.on("error", () => controller.abort());
  return { out: process.stdout, error: process.stderr, interrupted: controller.signal };
}

function sentenceOf(thrown: unknown, configuration: GenerateConfiguration): string {
  if (thrown instanceof TokenizerError || thrown instanceof AnswerError) return thrown.message;
  if (!isServiceError(thrown)) throw thrown;
  const address = formatAddress(configuration);
  if (isConnectionFailure(thrown)) {
    return `no server answers at ${address}; start one with: tokenwire serve MODEL`;
  }
  if (thrown.code === StatusCode.DEADLINE_EXCEEDED) {
    return `no answer within ${(configuration.timeoutMs ?? 0) / 1000} s (--timeout).`;
  }
  const status = Object.entries(StatusCode).find(([, code]) => code === thrown.code)?.[0] ?? `code ${thrown.code}`;
  return `${address} answered ${status}: ${thrown.details}`;
}
