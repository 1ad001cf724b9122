import type { ReadyFacts } from "../protocol/ready-response.ts";

/** Where an engine publishes what its prefix cache holds. */
export interface KvEventsSource {
  /** `tcp://HOST:PORT` or `ipc://PATH`. */
  readonly address: string;
  /** The engine may be what connects, and then the address is one of ours. */
  readonly mayConnect: boolean;
  /** Where it is asked for what was missed; undefined when it keeps nothing. */
  readonly replayAddress: string | undefined;
  readonly topic: string;
}

/** The host that is meant by a wildcard, by who has to connect to it. */
const wildcard = /^tcp:\/\/(\*|0\.0\.0\.0|\[::\]|::):(\d+)$/;

/**
 * What an engine says of its publisher when it is ready (`kv_events_config`, resolved for its rank by vLLM 0.32): undefined
 * when it publishes nothing. A wildcard in an address stands for `engineHost`, the machine that the engine came from.
 */
export function kvEventsSource({ all }: ReadyFacts, engineHost: string | undefined): KvEventsSource | undefined {
  const config = all.kv_events_config;
  if (typeof config !== "object" || config === null) return undefined;
  const {
    enable_kv_cache_events: isOn,
    publisher,
    endpoint,
    replay_endpoint: replay,
    topic,
  } = { ...emptyConfig, ...config };
  if (isOn === false || publisher === "null" || typeof endpoint !== "string") return undefined;
  const host = inBrackets(engineHost ?? "127.0.0.1");
  const reachable = (address: string): string => address.replace(wildcard, `tcp://${host}:$2`);
  return {
    address: reachable(endpoint),
    // vLLM binds wildcards and paths, and connects to the rest, unless it resolved the port itself (ZmqEventPublisher).
    mayConnect: endpoint.startsWith("tcp://") && !endpoint.includes("*") && !endpoint.includes("::"),
    replayAddress: typeof replay === "string" && replay !== "" ? reachable(replay) : undefined,
    topic: typeof topic === "string" ? topic : "",
  };
}

interface Config {
  readonly enable_kv_cache_events?: unknown;
  readonly publisher?: unknown;
  readonly endpoint?: unknown;
  readonly replay_endpoint?: unknown;
  readonly topic?: unknown;
}

const emptyConfig: Config = {};

function inBrackets(host: string): string {
  const plain = host.replace(/^::ffff:(?=\d+\.)/, "");
  return plain.includes(":") && !plain.startsWith("[") ? `[${plain}]` : plain;
}
