import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../harness/free-port.ts";
import { endGroup, startGroup } from "../harness/processes.ts";
import { gateway, program } from "../harness/tools.ts";

/** A running SMG gateway with workers behind it. */
export interface Gateway {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** The last of what it wrote. */
  log(): string;
  readonly pid: number;
  stop(): void;
}

export interface GatewayOptions {
  /** Default: round_robin. */
  readonly policy?: "round_robin" | "cache_aware";
  /** Further flags of `smg launch`. */
  readonly flags?: readonly string[];
  /** Default: when a worker and its tokenizer are there. "listens" waits for neither. */
  readonly until?: "ready" | "listens";
}

const startLimitMs = 60_000;

/** Starts the gateway in front of workers (`host:port`), which it asks for their health every second. */
export async function startGateway(
  targets: string | readonly string[],
  options: GatewayOptions = {},
): Promise<Gateway> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const workers = [targets].flat().map((target) => `grpc://${target}`);
  // Its own default host is 0.0.0.0, and it authenticates nobody.
  const flags = [
    ...["--host", "127.0.0.1", "--port", String(port)],
    ...["--prometheus-host", "127.0.0.1", "--prometheus-port", String(metricsPort)],
    ...["--worker-urls", ...workers, "--policy", options.policy ?? "round_robin"],
    ...["--health-check-interval-secs", "1", "--health-check-timeout-secs", "1"],
    ...["--worker-startup-check-interval", "1", "--log-level", "warn"],
    ...(options.flags ?? []),
  ];
  const environment = { ...process.env, HF_HUB_OFFLINE: "1", NO_COLOR: "1" };
  const child = startGroup(program(gateway, "smg"), ["launch", ...flags], environment);
  const pid = child.pid ?? 0;
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-256 * 1024);
    });
  }
  const started: Gateway = { url, pid, log: () => log, stop: () => endGroup(pid) };
  // Its /health is 200 before any worker is there; /readiness waits for a worker and for its tokenizer.
  const door = options.until === "listens" ? "/health" : "/readiness";
  const isUp = async () => (await fetch(url + door).catch(() => undefined))?.ok === true;
  const giveUpAtMs = performance.now() + startLimitMs;
  while (performance.now() < giveUpAtMs && child.exitCode === null) {
    if (await isUp()) return started;
    await sleep(50);
  }
  started.stop();
  throw new Error(`the gateway is not ready\n${log}`);
}

/** The model ids that a gateway lists; none when it does not answer. */
export async function models(url: string): Promise<string[]> {
  try {
    const answer = await fetch(`${url}/v1/models`);
    if (!answer.ok) return [];
    const { data } = (await answer.json()) as { data: { id: string }[] };
    return data.map(({ id }) => id);
  } catch {
    return [];
  }
}

/** One worker as the gateway sees it. */
export interface WorkerView {
  readonly url: string;
  readonly status: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** The workers that a gateway knows; none when it does not answer. */
export async function workersOf(url: string): Promise<WorkerView[]> {
  const answer = await fetch(`${url}/workers`).catch(() => undefined);
  if (answer?.ok !== true) return [];
  const { workers } = (await answer.json()) as { workers: WorkerView[] };
  return workers;
}
