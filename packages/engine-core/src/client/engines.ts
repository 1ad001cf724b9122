import { badFrame, type DeathCause, EngineCoreError } from "../engine-core-error.ts";
import type { ReadyFacts } from "../protocol/ready-response.ts";
import type { EngineConnection } from "./engine-core-client.ts";

interface Waiter {
  resolve(facts: readonly ReadyFacts[]): void;
  reject(reason: unknown): void;
}

/** How far the process that is this engine has come since its HELLO. */
interface Arrival {
  readonly saidHello: boolean;
  facts: ReadyFacts | undefined;
  saidReady: boolean;
}

/**
 * Who of the expected engines is there, by rank. An engine is ready when its facts have come (on the input socket) and
 * READY (on the handshake socket), in either order.
 */
export class Engines {
  readonly connections: EngineConnection[];
  readonly #arrivals: Arrival[];
  /** What each last said of itself, here or to another client. */
  readonly #lastFacts: (ReadyFacts | undefined)[];
  readonly #waiters = new Set<Waiter>();
  #closedBy: EngineCoreError | undefined;

  /** `remembered` are facts of engines that run already. */
  constructor(count: number, remembered: readonly ReadyFacts[] = []) {
    this.connections = Array.from({ length: count }, () => ({ t: "waiting" }));
    this.#arrivals = Array.from({ length: count }, () => ({ saidHello: false, facts: undefined, saidReady: false }));
    this.#lastFacts = Array.from({ length: count }, (_, rank) =>
      remembered.find(({ engineIndex }) => engineIndex === rank),
    );
  }

  /** Resolves with all facts when no engine is waited for and none is dead. */
  ready(signal: AbortSignal | undefined): Promise<readonly ReadyFacts[]> {
    if (this.#closedBy !== undefined) return Promise.reject(this.#closedBy);
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const all = this.#all();
    if (all !== undefined) return Promise.resolve(all);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        resolve: (facts) => {
          signal?.removeEventListener("abort", onAbort);
          resolve(facts);
        },
        reject: (reason) => {
          signal?.removeEventListener("abort", onAbort);
          reject(reason);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  alive(): number[] {
    return this.connections.flatMap((connection, index) => (connection.t === "ready" ? [index] : []));
  }

  assertExpected(index: number): void {
    const { length } = this.connections;
    if (index >= length) throw badFrame(`an engine of rank ${index} came, and ranks 0 to ${length - 1} are expected`);
  }

  assertReady(index: number): void {
    const connection = this.connections[index];
    if (connection?.t === "ready") return;
    if (connection?.t === "dead") {
      const fault = { kind: "dead", engineIndex: index, cause: connection.cause } as const;
      throw new EngineCoreError(fault, `engine ${index} is dead`);
    }
    throw new EngineCoreError({ kind: "not-ready" }, `engine ${index} is not ready`);
  }

  /** A process begins to be this engine. */
  saidHello(index: number): void {
    this.#arrivals[index] = { saidHello: true, facts: undefined, saidReady: false };
  }

  /** The facts when the engine is back after a death. */
  saidReady(index: number): ReadyFacts | undefined {
    const arrival = this.#arrivals[index];
    if (arrival !== undefined) arrival.saidReady = true;
    return this.#arrived(index);
  }

  gaveFacts(facts: ReadyFacts): ReadyFacts | undefined {
    const arrival = this.#arrivals[facts.engineIndex];
    if (arrival !== undefined) arrival.facts = facts;
    return this.#arrived(facts.engineIndex);
  }

  /**
   * An engine has connected to its input. True when that makes one ready whose facts are known: one that runs since before
   * this client, or one whose connection broke. One that said HELLO is ready when it says so.
   */
  connected(index: number): boolean {
    const connection = this.connections[index];
    const facts = this.#lastFacts[index];
    if (facts === undefined || connection === undefined || this.#arrivals[index]?.saidHello === true) return false;
    const isBack = connection.t === "waiting" || (connection.t === "dead" && connection.cause === "input-lost");
    if (isBack) this.#set(index, facts);
    return isBack;
  }

  died(index: number, cause: DeathCause): void {
    this.connections[index] = { t: "dead", cause };
    this.#arrivals[index] = { saidHello: false, facts: undefined, saidReady: false };
  }

  close(error: EngineCoreError): void {
    this.#closedBy = error;
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
  }

  #arrived(index: number): ReadyFacts | undefined {
    const arrival = this.#arrivals[index];
    if (arrival?.facts === undefined || !arrival.saidReady) return undefined;
    const wasDead = this.connections[index]?.t === "dead";
    this.#set(index, arrival.facts);
    return wasDead ? arrival.facts : undefined;
  }

  #set(index: number, facts: ReadyFacts): void {
    this.connections[index] = { t: "ready", facts };
    this.#lastFacts[index] = facts;
    const all = this.#all();
    if (all === undefined) return;
    for (const waiter of this.#waiters) waiter.resolve(all);
    this.#waiters.clear();
  }

  #all(): readonly ReadyFacts[] | undefined {
    const facts = this.connections.flatMap((connection) => (connection.t === "ready" ? [connection.facts] : []));
    return facts.length === this.connections.length ? facts : undefined;
  }
}
