import type { Command } from "commander";
import type { GenerateConfiguration } from "./configuration.ts";
import { CommandFlags, type FlagReader } from "./flags.ts";
import { UsageError } from "./usage-error.ts";
import { anyText, decimal, integer, seconds, serverAddress, type ValueParser } from "./value-parsers.ts";

const maxInt32 = 2 ** 31 - 1;

/** Declares the flags of `generate` on the command; the reader gives the configuration or throws a UsageError. */
export function declareGenerateFlags(command: Command): FlagReader<GenerateConfiguration> {
  const flags = new CommandFlags(command);

  flags.group("Server");
  const address = flags.value({
    flag: "--addr <host:port>",
    description: "the server",
    parse: serverAddress,
    fallback: "localhost:50051",
  });
  const timeoutMs = flags.optional({
    flag: "--timeout <seconds>",
    description: "give up after so long (default: wait)",
    parse: seconds({ from: 0.001, to: 86_400 }),
  });

  flags.group("Prompt");
  const system = flags.optional({
    flag: "--system <text>",
    description: "a system message before TEXT",
    parse: anyText,
  });
  const raw = flags.onOff("--raw", "TEXT is the prompt itself: no chat template");

  flags.group("Sampling");
  const maxTokens = flags.value({
    flag: "--max-tokens <count>",
    description: "longest answer",
    parse: integer({ from: 1, to: maxInt32 }),
    fallback: "256",
  });
  const temperature = flags.value({
    flag: "--temperature <number>",
    description: "0 always takes the likeliest token",
    parse: decimal({ from: 0, to: 2 }),
    fallback: "0",
  });
  const topP = flags.optional({
    flag: "--top-p <number>",
    description: "sample from the likeliest tokens that make up this share; 1 is off",
    parse: aboveZero(decimal({ from: 0, to: 1 })),
  });
  const topK = flags.optional({
    flag: "--top-k <count>",
    description: "sample from so many of the likeliest tokens; 0 is off",
    parse: integer({ from: 0, to: maxInt32 }),
  });
  const seed = flags.optional({
    flag: "--seed <number>",
    description: "same seed, same answer",
    parse: integer({ from: -(2 ** 31), to: maxInt32 }),
  });
  const stop = flags.repeated({
    flag: "--stop <text>",
    description: "end before this text",
    parse: stopText,
  });

  flags.group("Output");
  const json = flags.onOff("--json", "one JSON object at the end instead of text as it comes");
  const verbose = flags.onOff("--verbose", "a line on standard error about tokens and time");

  return (environment) => {
    const prompt = command.args[0] ?? "";
    const configuration: GenerateConfiguration = {
      text: prompt,
      ...address(environment),
      maxTokens: maxTokens(environment),
      temperature: temperature(environment),
      topP: topP(environment),
      topK: topK(environment),
      seed: seed(environment),
      stop: stop(environment),
      system: system(environment),
      raw: raw(environment),
      timeoutMs: timeoutMs(environment),
      json: json(environment),
      verbose: verbose(environment),
    };
    if (prompt === "") throw new UsageError("TEXT must not be empty.");
    if (configuration.raw && configuration.system !== undefined) {
      throw new UsageError(
        "--raw and --system exclude each other: without a chat template there is no system message.",
      );
    }
    return configuration;
  };
}

function aboveZero(parse: ValueParser<number>): ValueParser<number> {
  return (source, value) => {
    const parsed = parse(source, value);
    if (parsed === 0) throw new UsageError(`${source} must be above 0 and at most 1, not "0".`);
    return parsed;
  };
}

const stopText: ValueParser<string> = (source, value) => {
  if (value === "") throw new UsageError(`${source} must not be empty.`);
  return value;
};
