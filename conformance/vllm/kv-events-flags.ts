/** Flags of vLLM's with which its engine publishes what its prefix cache holds, at ports of the loopback, and answers for what was missed. */
export function kvEventsFlags(blockSizeTokens: number): readonly string[] {
  // Below the ports that connections take for themselves: nobody listens there until the engine is ready.
  const port = 20_000 + 2 * Math.floor(Math.random() * 5_000);
  const config = {
    enable_kv_cache_events: true,
    publisher: "zmq",
    endpoint: `tcp://127.0.0.1:${port}`,
    replay_endpoint: `tcp://127.0.0.1:${port + 1}`,
  };
  const cache = ["--enable-prefix-caching", "--block-size", String(blockSizeTokens)];
  return [...cache, "--kv-events-config", JSON.stringify(config)];
}
