import { refuseEngineArguments } from "../engines/vllm/process/engine-arguments.ts";
import type { EngineChoice } from "./configuration.ts";
import type { CommandFlags, Environment } from "./flags.ts";
import { UsageError } from "./usage-error.ts";
import { integer, text, type ValueParser } from "./value-parsers.ts";

type VllmChoice = Extract<EngineChoice, { t: "vllm" }>;

export interface VllmFlags {
  /** The flags of this group that were given, as the user wrote them. */
  given(environment: Environment): readonly string[];
  /** The choice of the vLLM engine; `behindDashes` are the words after `--`. Throws a {@link UsageError}. */
  choose(modelPath: string, behindDashes: readonly string[], environment: Environment): VllmChoice;
}

const defaultCommand = "vllm";

/** Declares the flags that only the vLLM engine has. */
export function declareVllmFlags(flags: CommandFlags): VllmFlags {
  const dataParallelSize = flags.optional({
    flag: "--data-parallel-size <count>",
    description: "vllm: engines that serve the model side by side (default: 1)",
    parse: integer({ from: 1, to: 1024 }),
  });
  const command = flags.optional({
    flag: "--vllm-command <command>",
    description: `vllm: the program that starts the engine, with the flags behind -- (default: ${defaultCommand})`,
    parse: text,
  });
  const address = flags.optional({
    flag: "--engine-core-address <address>",
    description: "vllm: start no engine, and wait here for those that others start, as tcp://host:port",
    parse: engineCoreAddress(["tcp"]),
  });
  const inputAddress = flags.optional({
    flag: "--engine-core-input-address <address>",
    description: "vllm: where engines fetch requests, as tcp://host:port or ipc://path (default: a free port)",
    parse: engineCoreAddress(["tcp", "ipc"]),
  });
  const outputAddress = flags.optional({
    flag: "--engine-core-output-address <address>",
    description: "vllm: where engines send outputs, as tcp://host:port or ipc://path (default: a free port)",
    parse: engineCoreAddress(["tcp", "ipc"]),
  });
  const statePath = flags.optional({
    flag: "--engine-core-state <path>",
    description:
      "vllm: the file from which the next start takes running engines over (default: one for engines started here)",
    parse: text,
  });
  const keepEngine = flags.onOff(
    "--engine-core-keep",
    "vllm: leave an engine started here running at the end, for the next start to take over",
  );
  const readers = new Map<string, (environment: Environment) => unknown>([
    ["--data-parallel-size", dataParallelSize],
    ["--vllm-command", command],
    ["--engine-core-address", address],
    ["--engine-core-input-address", inputAddress],
    ["--engine-core-output-address", outputAddress],
    ["--engine-core-state", statePath],
    ["--engine-core-keep", (environment) => keepEngine(environment) || undefined],
  ]);
  return {
    given: (environment) => [...readers].filter(([, read]) => read(environment) !== undefined).map(([name]) => name),
    choose(modelPath, behindDashes, environment) {
      const handshakeAddress = address(environment);
      if (handshakeAddress !== undefined && behindDashes.length > 0) {
        throw new UsageError(
          "flags behind -- go to an engine that tokenwire starts; --engine-core-address starts none.",
        );
      }
      if (handshakeAddress !== undefined && command(environment) !== undefined) {
        throw new UsageError("--vllm-command and --engine-core-address exclude each other.");
      }
      if (handshakeAddress !== undefined && keepEngine(environment)) {
        throw new UsageError(
          "--engine-core-keep is for engines started here; those of --engine-core-address run on anyway.",
        );
      }
      const refusal = refuseEngineArguments(behindDashes);
      if (refusal !== undefined) throw new UsageError(refusal);
      return {
        t: "vllm",
        modelPath,
        source:
          handshakeAddress === undefined
            ? { t: "managed", command: command(environment) ?? defaultCommand, args: behindDashes }
            : { t: "attached" },
        handshakeAddress,
        inputAddress: inputAddress(environment),
        outputAddress: outputAddress(environment),
        dataParallelSize: dataParallelSize(environment) ?? 1,
        statePath: statePath(environment),
        keepEngine: keepEngine(environment),
      };
    },
  };
}

/** `tcp://host:port` (0 takes a free port) or `ipc://path`, as ZeroMQ writes them. */
function engineCoreAddress(schemes: readonly ("tcp" | "ipc")[]): ValueParser<string> {
  return (source, value) => {
    const port = Number(/^tcp:\/\/(?:\[[0-9a-fA-F:.%]{2,64}\]|[^\s:/[\]]{1,253}):(\d{1,5})$/.exec(value)?.[1]);
    // sun_path of unix(7) has 108 bytes, its end included.
    const isPath = /^ipc:\/\/[^\s]+$/.test(value) && Buffer.byteLength(value) <= 6 + 107;
    if ((schemes.includes("tcp") && port <= 65_535) || (schemes.includes("ipc") && isPath)) return value;
    const forms = { tcp: "tcp://host:port", ipc: "ipc://path" };
    const wanted = schemes.map((scheme) => forms[scheme]).join(" or ");
    throw new UsageError(`${source} must be ${wanted}, not ${JSON.stringify(value.slice(0, 120))}.`);
  };
}
