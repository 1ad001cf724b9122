import type { WatchedStatus } from "./serving-status.ts";
import type { StatusTable } from "./status-table.ts";
import type { HealthCheckResponse } from "./wire/health-check-response.ts";

/** What the service needs of any call. */
export interface HealthCall {
  /** Fires once when nobody will read the answer any more; `reason` then says why. */
  readonly signal: AbortSignal;
  /** Adds trailing metadata to the answer. A transport without it sends none of the annotations. */
  setTrailer?(key: string, value: string): void;
}

/** What Watch needs of its call: a stream pushed with back-pressure. */
export interface HealthWatchCall extends HealthCall {
  /** Takes the message and answers false when the client reads slower than we write. */
  write(response: HealthCheckResponse): boolean;
  /** Resolves when writing may go on, or when the call has ended. */
  drained(): Promise<void>;
}

/**
 * Streams one name's status into a call: the current one at once, then each change, until the call's signal fires; then
 * it frees the watcher's slot and rejects with the signal's reason.
 *
 * A reader that is not ready costs one status and no queue: what came last waits for it, and nothing is sent when that is
 * what it heard already. Rejects with `StatusTableFullError` when the table takes no more watchers.
 */
export function streamStatus(table: StatusTable, service: string, call: HealthWatchCall): Promise<void> {
  if (call.signal.aborted) return Promise.reject(call.signal.reason);
  return new Promise<void>((_resolve, reject) => {
    let sent: WatchedStatus | undefined;
    let waiting: WatchedStatus | undefined;
    let blocked = false;
    let unsubscribe: (() => void) | undefined;
    let ended = false;

    const end = (reason: unknown): void => {
      ended = true;
      unsubscribe?.();
      call.signal.removeEventListener("abort", onAbort);
      reject(reason);
    };
    const onAbort = (): void => end(call.signal.reason);
    const drain = (): void => {
      blocked = false;
      const status = waiting;
      waiting = undefined;
      if (status !== undefined && !ended) send(status);
    };
    const send = (status: WatchedStatus): void => {
      if (status === sent) return;
      try {
        sent = status;
        if (call.write({ status })) return;
        blocked = true;
        call.drained().then(drain, end);
      } catch (error) {
        end(error);
      }
    };

    unsubscribe = table.watch(service, (status) => {
      if (blocked) waiting = status;
      else send(status);
    });
    // The first write is inside watch(); when it failed there was nothing to unsubscribe yet.
    if (ended) unsubscribe();
    else call.signal.addEventListener("abort", onAbort, { once: true });
  });
}
