import type { EngineCoreClient } from "@tokenwire/engine-core";

/**
 * Asks one engine whether its scheduler's loop and its workers turn; the answer says why it is paused, if it is. Rejects when
 * the engine says that it is broken, or is gone. The caller alone decides how long silence is bearable.
 */
export async function checkRank(client: EngineCoreClient, rank: number): Promise<string | undefined> {
  const ask = (method: string): Promise<unknown> =>
    // An engine without the method says so, which is no pause.
    client.call(rank, method).catch(() => undefined);
  const [, isSleeping, isPaused] = await Promise.all([
    // Through the scheduler's loop and the workers. Never with a timeout among the arguments: when it expires, the late
    // answer is taken for the next step's output, and the engine dies.
    client.call(rank, "collective_rpc", ["check_health", null, [], {}]),
    ask("is_sleeping"),
    ask("is_scheduler_paused"),
  ]);
  if (isSleeping === true) return `engine ${rank} sleeps`;
  return isPaused === true ? `the scheduler of engine ${rank} is paused` : undefined;
}
