import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../harness/free-port.ts";
import { endGroup, startGroup } from "../harness/processes.ts";
import { gateway, program } from "../harness/tools.ts";

/** A running SMG gateway with one worker behind it. */
export interface Gateway {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  stop(): void;
}

const startLimitMs = 60_000;

/** Starts the gateway in front of `target` and resolves when it lists the worker's model. */
export async function startGateway(target: string): Promise<Gateway> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  // Its own default host is 0.0.0.0, and it authenticates nobody.
  const flags = [
    ...["--host", "127.0.0.1", "--port", String(port)],
    ...["--prometheus-host", "127.0.0.1", "--prometheus-port", String(metricsPort)],
    ...["--worker-urls", `grpc://${target}`, "--policy", "round_robin"],
    ...["--health-check-interval-secs", "1", "--health-check-timeout-secs", "1"],
    ...["--worker-startup-check-interval", "1", "--log-level", "warn"],
  ];
  const environment = { ...process.env, HF_HUB_OFFLINE: "1", NO_COLOR: "1" };
  const child = startGroup(program(gateway, "smg"), ["launch", ...flags], environment);
  const pid = child.pid ?? 0;
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-4096);
    });
  }
  const started: Gateway = { url, stop: () => endGroup(pid) };
  const giveUpAtMs = performance.now() + startLimitMs;
  while (performance.now() < giveUpAtMs && child.exitCode === null) {
    if ((await models(url)).length > 0) return started;
    await sleep(50);
  }
  started.stop();
  throw new Error(`the gateway lists no model\n${log}`);
}

/** The model ids that a gateway lists; none when it does not answer. Its `/health` is 200 before any worker is there. */
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
