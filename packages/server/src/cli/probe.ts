import { type ProbeResult, probe } from "@tokenwire/health/probe";
import type { ProbeConfiguration } from "./configuration.ts";
import type { LineOutput } from "./line-output.ts";
import { ProbeExitCode } from "./probe-flags.ts";
import { askedWith, probeOptions } from "./probe-options.ts";
import { connectFailureLine, reasonIn, rpcFailureLine } from "./probe-report.ts";

/**
 * Asks a server for its health once, prints one line as grpc_health_probe does and answers its exit code; with `watch`
 * goes on to do so for every change. Throws a UsageError for what the probe cannot be asked with, such as a certificate
 * file that cannot be read.
 */
export async function runProbe(configuration: ProbeConfiguration, output: LineOutput): Promise<ProbeExitCode> {
  const options = await probeOptions(configuration);
  if (configuration.watch !== undefined) {
    const { runProbeWatch } = await import("./probe-watch.ts");
    return runProbeWatch(configuration, configuration.watch, options, output);
  }
  const result = await askedWith(() => probe(options));
  switch (result.t) {
    case "status": {
      const isServing = result.status === "SERVING";
      const print = isServing ? output.out : output.error;
      print(isServing ? "status: SERVING" : `service unhealthy (responded with ${JSON.stringify(result.status)})`);
      if (configuration.verbose) for (const line of verboseLines(result)) print(line);
      return isServing ? ProbeExitCode.SERVING : ProbeExitCode.UNHEALTHY;
    }
    case "rpc-failed":
      output.error(rpcFailureLine(result, configuration));
      return ProbeExitCode.RPC_FAILURE;
    case "connect-failed":
      output.error(connectFailureLine(result, configuration));
      return ProbeExitCode.CONNECTION_FAILURE;
  }
}

function verboseLines({ trailers, connectMs, rpcMs }: Extract<ProbeResult, { t: "status" }>): string[] {
  const reason = reasonIn(trailers);
  const times = `time elapsed: connect=${connectMs.toFixed(1)}ms rpc=${rpcMs.toFixed(1)}ms`;
  return reason === undefined ? [times] : [`reason: ${reason}`, times];
}
