import { type ProbeOptions, probe, type WatchEnd, watchHealth } from "@tokenwire/health/probe";
import type { ProbeConfiguration, ProbeWatch } from "./configuration.ts";
import type { LineOutput } from "./line-output.ts";
import { ProbeExitCode } from "./probe-flags.ts";
import { askedWith } from "./probe-options.ts";
import { connectFailureLine, reasonIn, rpcFailureLine } from "./probe-report.ts";

/** Pause before a server that is waited for is tried again; doubles up to the longest, and a status sets it back. */
const pauseMs = { shortest: 100, longest: 2000 } as const;

type Failure = Exclude<WatchEnd, { t: "stopped" }>;

/**
 * Prints a line for the current status and each change until a signal, the timeout or a reader of the output that went
 * away. With `until` it ends at that status, and tries a server again that is not there yet or went away, except one
 * that does not know the method (grpc/grpc, doc/health-checking.md: any other end is retried with back-off).
 */
export async function runProbeWatch(
  configuration: ProbeConfiguration,
  { until, timeoutMs }: ProbeWatch,
  options: ProbeOptions,
  output: LineOutput,
): Promise<ProbeExitCode> {
  using ending = endOfWatch(timeoutMs);
  let reached = false;
  let nextPauseMs: number = pauseMs.shortest;
  let lastFailure: string | undefined;

  const onStatus: Parameters<typeof watchHealth>[0]["onStatus"] = async (status) => {
    const atTime = new Date().toISOString();
    const reason = configuration.verbose ? await reasonFor(status, options) : undefined;
    output.out(reason === undefined ? `${atTime} ${status}` : `${atTime} ${status} (${reason})`);
    nextPauseMs = pauseMs.shortest;
    lastFailure = undefined;
    if (status === until) {
      reached = true;
      ending.end("reached");
    }
  };

  while (true) {
    const end = await askedWith(() => watchHealth({ ...options, signal: ending.signal, onStatus }));
    if (reached) return ProbeExitCode.SERVING;
    if (ending.signal.aborted || end.t === "stopped") {
      if (until === undefined) return ProbeExitCode.SERVING;
      const sentence =
        ending.reason === "timeout" ? `timeout: not ${until} within ${timeoutMs} ms` : `not ${until} yet`;
      output.error(lastFailure === undefined ? sentence : `${sentence}; ${lastFailure}`);
      return ProbeExitCode.UNHEALTHY;
    }
    const failure = failureLine(end, configuration);
    if (until === undefined || (end.t === "rpc-failed" && end.code === 12)) {
      output.error(failure);
      return end.t === "rpc-failed" ? ProbeExitCode.RPC_FAILURE : ProbeExitCode.CONNECTION_FAILURE;
    }
    if (configuration.verbose && failure !== lastFailure) output.error(failure);
    lastFailure = failure;
    await ending.pause(nextPauseMs);
    nextPauseMs = Math.min(2 * nextPauseMs, pauseMs.longest);
  }
}

function failureLine(end: Failure, configuration: ProbeConfiguration): string {
  switch (end.t) {
    case "connect-failed":
      return connectFailureLine(end, configuration);
    case "connection-lost":
      return `error: the connection was lost: ${end.message}`;
    case "rpc-failed":
      return rpcFailureLine(end, configuration);
  }
}

/** A Watch carries no metadata before its end, so a Check is asked; a status that moved on meanwhile is not explained. */
async function reasonFor(status: string, options: ProbeOptions): Promise<string | undefined> {
  const result = await probe(options);
  return result.t === "status" && result.status === status ? reasonIn(result.trailers) : undefined;
}

type EndReason = "reached" | "timeout" | "signal" | "output";

/** Whatever ends the watch from this side; disposing takes the handlers back. */
function endOfWatch(timeoutMs: number | undefined) {
  const controller = new AbortController();
  let reason: EndReason | undefined;
  const end = (why: EndReason): void => {
    reason ??= why;
    controller.abort();
  };
  const onSignal = (): void => end("signal");
  const onOutputError = (): void => end("output");
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => end("timeout"), timeoutMs);
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  process.stdout.once("error", onOutputError);
  return {
    signal: controller.signal,
    get reason(): EndReason | undefined {
      return reason;
    },
    end,
    /** Resolves after the pause, or when the watch ends. */
    pause: (ms: number): Promise<void> =>
      new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(wait);
          controller.signal.removeEventListener("abort", done);
          resolve();
        };
        const wait = setTimeout(done, ms);
        if (controller.signal.aborted) done();
        else controller.signal.addEventListener("abort", done);
      }),
    [Symbol.dispose]: (): void => {
      clearTimeout(timer);
      process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
      process.stdout.off("error", onOutputError);
    },
  };
}
