import type { Log } from "../operations/log.ts";
import type { RunningServer } from "./run-server.ts";

const stopSignals = ["SIGTERM", "SIGINT"] as const;
type StopSignal = (typeof stopSignals)[number];

/** Where signals come from: `process`, or an EventEmitter in a test. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
}

/**
 * Lets the first SIGTERM or SIGINT shut the server down, and each further one hurry. Answers a function that takes the
 * handlers back; the system's own reaction (the process dies) is then in force again.
 */
export function installSignalHandlers(
  server: Pick<RunningServer, "shutdown" | "hurry">,
  log: Log,
  source: SignalSource = process,
): () => void {
  let stopping = false;
  const handlers = stopSignals.map((signal) => {
    const listener = (): void => {
      if (stopping) {
        log.warn({ signal }, "a second signal: the calls in flight end now");
        server.hurry();
      } else {
        stopping = true;
        void server.shutdown(`received ${signal}`);
      }
    };
    source.on(signal, listener);
    return { signal, listener };
  });
  return () => {
    for (const { signal, listener } of handlers) source.off(signal, listener);
  };
}
