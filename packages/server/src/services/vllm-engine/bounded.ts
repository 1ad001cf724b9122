import { setTimeout } from "node:timers/promises";
import type { Call } from "../../rpc/call.ts";
import type { VllmEngineContext } from "./context.ts";

/** Waits on the context's clock. Rejects with the signal's reason when it fires. */
export async function wait(context: VllmEngineContext, ms: number, signal: AbortSignal): Promise<void> {
  if (context.wait !== undefined) return context.wait(ms, signal);
  await setTimeout(ms, undefined, { signal }).catch((thrown: unknown) => {
    throw signal.aborted ? signal.reason : thrown;
  });
}

/**
 * Waits for work that has no deadline of its own: at most `ms`, and no longer than its call. The work itself goes on.
 *
 * @returns the result, or undefined when the time is over.
 * @throws what the work throws, or the call's end (a GrpcStatusError) when that comes first.
 */
export async function bounded<T>(
  context: VllmEngineContext,
  call: Call,
  ms: number,
  work: Promise<T>,
): Promise<{ readonly value: T } | undefined> {
  const settled = new AbortController();
  const signal = AbortSignal.any([call.signal, settled.signal]);
  const timer = wait(context, ms, signal).then(() => undefined);
  // After the race the timer is called off, and nobody looks at its rejection any more.
  timer.catch(() => {});
  try {
    return await Promise.race([work.then((value) => ({ value })), timer]);
  } finally {
    settled.abort();
  }
}
