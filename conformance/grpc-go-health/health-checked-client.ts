import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { endGroup, startGroup } from "../harness/processes.ts";
import { healthCheckedClient, program } from "../harness/tools.ts";

/** A line of the client's output; `client/main.go` says what it means. */
export interface ClientEvent {
  /** Milliseconds from the start of the client. */
  readonly atMs: number;
  readonly event: "call" | "connected" | "disconnected" | "watch" | "state";
  /** The server's address. A call that no server took has none. */
  readonly address?: string;
  /** The client's end of the connection. */
  readonly connection?: string;
  /** The status of a call. */
  readonly code?: string;
  readonly message?: string;
  /** The state of the channel. */
  readonly state?: string;
}

/** So many calls in a row say where calls go; round_robin over two servers needs two. */
const recentCalls = 20;

/** grpc-go with client-side health checking, that calls two or more servers all the time. */
export class HealthCheckedClient {
  readonly service: string;
  readonly events: ClientEvent[] = [];
  readonly #child: ChildProcess;
  #problem = "";
  #wake: () => void = () => undefined;

  constructor(service: string, targets: readonly string[]) {
    this.service = service;
    this.#child = startGroup(program(healthCheckedClient), ["-service", service, ...targets], process.env, "pipe");
    assert.ok(this.#child.stdout !== null && this.#child.stderr !== null);
    createInterface(this.#child.stdout).on("line", (line) => {
      this.events.push(JSON.parse(line));
      this.#wake();
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#problem += text;
    });
  }

  /** How many events there are: a place to look from. */
  get mark(): number {
    return this.events.length;
  }

  eventsOf(event: ClientEvent["event"], from = 0): ClientEvent[] {
    return this.events.slice(from).filter((each) => each.event === event);
  }

  failedCalls(): ClientEvent[] {
    return this.eventsOf("call").filter(({ code }) => code !== "OK");
  }

  /** Resolves when the last calls since a place were answered by all of these addresses and by no other. */
  async untilAnsweredBy(addresses: readonly string[], from = 0): Promise<void> {
    const expected = [...addresses].sort().join();
    await this.until(() => {
      const recent = this.eventsOf("call", from).slice(-recentCalls);
      const answered = new Set(recent.map(({ address = "nobody" }) => address));
      return recent.length === recentCalls && [...answered].sort().join() === expected;
    }, `calls that ${expected} answers`);
  }

  /** Resolves when the condition holds, which may change with each event; rejects after the limit. */
  async until(holds: () => boolean, what: string, limitMs = 20_000): Promise<void> {
    const limit = sleep(limitMs, true, { ref: false });
    while (!holds()) {
      const heard = new Promise<false>((resolve) => {
        this.#wake = () => resolve(false);
      });
      if (await Promise.race([heard, limit])) throw new Error(`waited ${limitMs} ms for ${what}\n${this.report()}`);
    }
  }

  /** What was heard last, for the message of a failed assertion. */
  report(): string {
    const others = this.events.filter(({ event }) => event !== "call").slice(-50);
    const events = [...others, ...this.eventsOf("call").slice(-recentCalls)];
    return `a client that watches "${this.service}":\n${events.map((each) => JSON.stringify(each)).join("\n")}\n${this.#problem}`;
  }

  stop(): void {
    if (this.#child.pid !== undefined) endGroup(this.#child.pid);
  }
}
