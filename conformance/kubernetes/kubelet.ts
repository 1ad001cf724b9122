import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { endGroup, startGroup } from "../harness/processes.ts";
import { kubeletProbes, program } from "../harness/tools.ts";
import type { Container } from "./container.ts";
import { deployment, manifestPorts } from "./manifests.ts";

/** What the kubelet's prober found, or what the kubelet would do. */
export interface KubeletEvent {
  /** Milliseconds from the start of the probing. */
  readonly atMs: number;
  readonly event: "started" | "ready" | "not-ready" | "restart" | "Unhealthy" | "totals";
  /** The probe that asks for a restart. */
  readonly probe?: "liveness" | "startup";
  /** The sentence that `kubectl describe pod` shows. */
  readonly message?: string;
  /** Of the event "totals". */
  readonly totals?: Totals;
}

/** How many probes succeeded and failed, by kind: the kubelet's metric prober_probe_total. */
export type Totals = Readonly<
  Partial<Record<"Startup" | "Readiness" | "Liveness", { readonly successful?: number; readonly failed?: number }>>
>;

export interface KubeletOptions {
  readonly container: Container;
  /** Periods of the manifest are divided by this, and are at least a second. Default 10, which makes each a second. */
  readonly speed?: number;
  /** Failures in a row after which the startup probe gives up. Default: the manifest's. */
  readonly startupFailures?: number;
  /** Other names than the manifest's. */
  readonly services?: Partial<Record<"startup" | "readiness" | "liveness", string>>;
}

/** The address that probes dial. Not 127.0.0.1: a server that listens there alone cannot be probed in a pod. */
const podIp = "127.0.0.2";

/** The kubelet's prober and its workers, probing a container as deploy/kubernetes/deployment.yaml says. */
export class Kubelet {
  readonly events: KubeletEvent[] = [];
  readonly #child: ChildProcess;
  readonly #container: Container;
  #problem = "";
  #wake: () => void = () => undefined;

  constructor(options: KubeletOptions) {
    const { container, speed = 10, services = {}, startupFailures } = options;
    this.#container = container;
    const flags = ["-pod-ip", podIp, "-speed", String(speed)];
    for (const name of ["grpc", "health"] as const) {
      flags.push("-port", `${manifestPorts[name]}=${container.ports[name]}`);
    }
    if (startupFailures !== undefined) flags.push("-failures", `startup=${startupFailures}`);
    for (const [probe, name] of Object.entries(services)) flags.push("-service", `${probe}=${name}`);
    this.#child = startGroup(program(kubeletProbes), ["probe", ...flags, deployment], process.env, "pipe");
    assert.ok(this.#child.stdout !== null && this.#child.stderr !== null);
    createInterface(this.#child.stdout).on("line", (line) => {
      this.events.push(JSON.parse(line));
      this.#wake();
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#problem += text;
    });
  }

  /** How many events there are: a place to wait from. */
  get mark(): number {
    return this.events.length;
  }

  /** Resolves with the first matching event, from a place on; rejects after the limit with everything that was said. */
  async until(
    event: KubeletEvent["event"],
    options: { readonly from?: number; readonly limitMs?: number; readonly message?: RegExp } = {},
  ): Promise<KubeletEvent> {
    const { from = 0, limitMs = 30_000, message } = options;
    const limit = sleep(limitMs, true, { ref: false });
    for (;;) {
      const found = this.events
        .slice(from)
        .find((each) => each.event === event && (message === undefined || message.test(each.message ?? "")));
      if (found !== undefined) return found;
      const heard = new Promise<false>((resolve) => {
        this.#wake = () => resolve(false);
      });
      if (await Promise.race([heard, limit])) throw new Error(`no ${event} within ${limitMs} ms\n${this.report()}`);
    }
  }

  /** Asserts that nothing so far asked for a restart. */
  assertNoRestart(): void {
    assert.deepEqual(this.eventsOf("restart"), [], this.report());
  }

  eventsOf(event: KubeletEvent["event"]): KubeletEvent[] {
    return this.events.filter((each) => each.event === event);
  }

  /** Tells what became of the container. The pod's deletion ends the probing of liveness and startup. */
  tell(what: "exited" | "started" | "deleted"): void {
    this.#child.stdin?.write(`${what}\n`);
  }

  async totals(): Promise<Totals> {
    const from = this.mark;
    this.#child.stdin?.write("totals\n");
    const { totals } = await this.until("totals", { from, limitMs: 5000 });
    return totals ?? {};
  }

  /** Everything that was heard, for the message of a failed assertion. */
  report(): string {
    const events = this.events.map((each) => JSON.stringify(each)).join("\n");
    return `${events}\n${this.#problem}\nserver:\n${this.#container.log()}`;
  }

  stop(): void {
    if (this.#child.pid !== undefined) endGroup(this.#child.pid);
  }
}
