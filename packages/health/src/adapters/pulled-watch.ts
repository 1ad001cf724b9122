import type { WatchedStatus } from "../serving-status.ts";
import type { StatusTable } from "../status-table.ts";
import { serverShutsDown } from "./status-of.ts";
import type { WatchEnding } from "./watch-ending.ts";

/**
 * One name's status for servers that pull their answers: the current one, then each change as it is asked for. What
 * changes twice between two pulls is heard once, as it is then; nothing is queued.
 *
 * The generator frees its slot in the table and throws when the signal fires (the signal's reason), when the server ends
 * its Watches (UNAVAILABLE, after the last status) and when the table takes no more watchers (`StatusTableFullError`).
 */
export async function* pulledWatch(
  table: StatusTable,
  service: string,
  signal: AbortSignal,
  ending: WatchEnding,
): AsyncGenerator<WatchedStatus, never, undefined> {
  let latest: WatchedStatus | undefined;
  let wake = (): void => {};
  const stop = [
    table.watch(service, (status) => {
      latest = status;
      wake();
    }),
    ending.onBegin(() => wake()),
  ];
  const onAbort = (): void => wake();
  signal.addEventListener("abort", onAbort);
  try {
    let sent: WatchedStatus | undefined;
    while (true) {
      signal.throwIfAborted();
      if (latest !== undefined && latest !== sent) {
        sent = latest;
        yield latest;
      } else if (ending.begun) {
        throw serverShutsDown();
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    for (const release of stop) release();
    signal.removeEventListener("abort", onAbort);
  }
}
