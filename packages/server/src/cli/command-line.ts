import { Command, CommanderError } from "commander";
import type { GenerateConfiguration, ProbeConfiguration, ServeConfiguration } from "./configuration.ts";
import { CommandFlags, type Environment } from "./flags.ts";
import { declareGenerateFlags } from "./generate-flags.ts";
import { packageVersion } from "./package-version.ts";
import { declareProbeFlags, withLongFlags } from "./probe-flags.ts";
import { declareServeFlags } from "./serve-flags.ts";
import { unsupportedSentence } from "./unsupported.ts";
import { UsageError } from "./usage-error.ts";

/** What a command line asks for. */
export type Invocation =
  | { readonly t: "serve"; readonly configuration: ServeConfiguration }
  | { readonly t: "probe"; readonly configuration: ProbeConfiguration }
  | { readonly t: "generate"; readonly configuration: GenerateConfiguration }
  /** Help or version, for standard output. */
  | { readonly t: "text"; readonly text: string };

/**
 * Reads the words after the program's name, and the environment. Touches nothing else but to look whether MODEL is a
 * model's folder: no port, no output.
 * Throws {@link UsageError} for everything that is wrong with them.
 */
export function parseCommandLine(argv: readonly string[], environment: Environment): Invocation {
  const parsing: Parsing = { invocation: undefined, written: "" };
  const { own, behindDashes } = splitAtDashes(argv);
  const program = createProgram(parsing, environment, behindDashes);
  try {
    program.parse(argv[0] === "probe" ? withLongFlags(argv) : [...own], { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode !== 0) throw usageErrorOf(thrown);
  }
  return parsing.invocation ?? { t: "text", text: parsing.written };
}

/** The whole program as commander knows it, for the tests of its help. */
export function describeProgram(): Command {
  return createProgram({ invocation: undefined, written: "" }, {}, []);
}

/** The words of `serve` behind `--` are vLLM's own, and no word of ours may be read among them. */
function splitAtDashes(argv: readonly string[]): {
  readonly own: readonly string[];
  readonly behindDashes: readonly string[];
} {
  const dashes = argv[0] === "serve" ? argv.indexOf("--") : -1;
  return dashes < 0
    ? { own: argv, behindDashes: [] }
    : { own: argv.slice(0, dashes), behindDashes: argv.slice(dashes + 1) };
}

interface Parsing {
  invocation: Invocation | undefined;
  written: string;
}

const serveHelp = `
Every flag is also read from the environment: --max-model-len is TOKENWIRE_MAX_MODEL_LEN, MODEL is TOKENWIRE_MODEL.
An on/off flag's variable is true or false. The command line wins.

Exit codes: 0 stopped by a signal, 1 could not start (port, model), 2 wrong flag, value or model file,
70 the engine died for good.

Examples:
  tokenwire serve models/demo/tiny-f16.gguf
  tokenwire serve model.gguf --served-model-name my-model --max-model-len 4096 --port 50052
  tokenwire serve --engine mock
  tokenwire serve models/demo/hf --engine vllm -- --tensor-parallel-size 2
  tokenwire serve models/demo/hf --engine vllm --engine-core-address tcp://0.0.0.0:29550
`;

const probeHelp = `
Every flag is also read from the environment: --connect-timeout is TOKENWIRE_CONNECT_TIMEOUT.
Flags and exit codes are grpc_health_probe's; its one-dash form (-addr=:50051) is taken too.

Exit codes: 0 SERVING, 1 wrong arguments, 2 no connection, 3 the call failed or timed out, 4 not SERVING.
With --watch: 0 ended by a signal or --timeout, 2 no connection or lost it, 3 the call failed.
With --until: 0 the status came, 4 it did not; a server that is not there yet is tried again.

Examples:
  tokenwire probe
  tokenwire probe --watch
  tokenwire probe --watch --until serving --timeout 60s
  tokenwire probe --addr :50051 --service readiness --rpc-timeout 500ms
`;

const generateHelp = `
Every flag is also read from the environment: --max-tokens is TOKENWIRE_MAX_TOKENS.

Exit codes: 0 answered, 1 failed, 2 wrong flag or value, 130 interrupted (the request is cancelled).

Examples:
  tokenwire generate "What is the capital of France?"
  tokenwire generate --raw --max-tokens 40 "Once upon a time"
`;

function createProgram(parsing: Parsing, environment: Environment, behindDashes: readonly string[]): Command {
  const program = new Command("tokenwire");
  program
    .description("Serves large language models over gRPC, with health that Kubernetes can trust.")
    .version(packageVersion(), "-V, --version", "print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        parsing.written += text;
      },
      writeErr: () => {},
    })
    .configureHelp({ helpWidth: 110 })
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .showSuggestionAfterError(true)
    // commander answers a missing command with help on standard error.
    .action(() => {
      throw new UsageError("a command is missing: serve, probe or generate; tokenwire --help tells more.");
    });

  const serve = program
    .command("serve")
    .summary("serve a model")
    .description("Serves a model over gRPC: vllm.grpc.engine.VllmEngine, grpc.health.v1.Health and server reflection.")
    .argument("[MODEL]", "path of a GGUF file, or of a model's folder in Hugging Face's form")
    .usage("[options] [MODEL] [-- flags of vllm serve]")
    .addHelpText("after", serveHelp);
  const readServe = declareServeFlags(serve, behindDashes);
  serve.action(() => {
    parsing.invocation = { t: "serve", configuration: readServe(environment) };
  });

  const probe = program
    .command("probe")
    .summary("ask a server for its health")
    .description("Asks a gRPC server for its health with grpc_health_probe's exit codes, once or for each change.")
    .addHelpText("after", probeHelp);
  const readProbe = declareProbeFlags(new CommandFlags(probe));
  probe.action(() => {
    parsing.invocation = { t: "probe", configuration: readProbe(environment) };
  });

  const generate = program
    .command("generate")
    .summary("stream an answer from a server")
    .description("Asks a running server for an answer and prints it as it comes.")
    .argument("<TEXT>", "what to say to the model")
    .addHelpText("after", generateHelp);
  const readGenerate = declareGenerateFlags(generate);
  generate.action(() => {
    parsing.invocation = { t: "generate", configuration: readGenerate(environment) };
  });

  return program;
}

/** The sentence for what commander found; it begins with "error: ", which whoever prints it adds again. */
function usageErrorOf(error: CommanderError): UsageError {
  const unknown = /^error: unknown option '([^']*)'/.exec(error.message)?.[1];
  const unsupported = unknown === undefined ? undefined : unsupportedSentence(unknown);
  const sentence = error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
  return new UsageError(unsupported ?? (/[.?)]$/.test(sentence) ? sentence : `${sentence}.`));
}
