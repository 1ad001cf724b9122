/** The program `tokenwire`. Each command's code is loaded only when asked for: a probe must be quick. */
import type { Invocation } from "./command-line.ts";
import { ExitCode } from "./exit-code.ts";
import { standardOutput } from "./line-output.ts";
import { readPlainProbe } from "./probe-command-line.ts";
import { ProbeExitCode } from "./probe-flags.ts";
import { UsageError } from "./usage-error.ts";

async function run(invocation: Invocation): Promise<number> {
  switch (invocation.t) {
    case "serve": {
      const { serve } = await import("./serve.ts");
      const exitCode = await serve(invocation.configuration, standardOutput());
      // An engine that did not close in time must not keep the process.
      return process.exit(exitCode);
    }
    case "probe": {
      const { runProbe } = await import("./probe.ts");
      return runProbe(invocation.configuration, standardOutput());
    }
    case "generate": {
      const { generate } = await import("./generate.ts");
      return generate(invocation.configuration);
    }
    case "text":
      process.stdout.write(invocation.text);
      return ExitCode.OK;
  }
}

async function read(argv: readonly string[]): Promise<Invocation> {
  if (argv[0] === "probe") {
    const configuration = readPlainProbe(argv.slice(1), process.env);
    if (configuration !== undefined) return { t: "probe", configuration };
  }
  const { parseCommandLine } = await import("./command-line.ts");
  return parseCommandLine(argv, process.env);
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    return await run(await read(argv));
  } catch (thrown) {
    if (!(thrown instanceof UsageError)) throw thrown;
    process.stderr.write(`error: ${thrown.message}\n`);
    return argv[0] === "probe" ? ProbeExitCode.INVALID_ARGUMENTS : ExitCode.USAGE;
  }
}

process.exitCode = await main(process.argv.slice(2));
