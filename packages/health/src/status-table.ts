import { assertServiceName } from "./service-name.ts";
import type { RegisteredStatus, WatchedStatus } from "./serving-status.ts";

/** One change of one name. `from` SERVICE_UNKNOWN is a registration, `to` SERVICE_UNKNOWN its end. */
export interface StatusTransition {
  readonly service: string;
  readonly from: WatchedStatus;
  readonly to: WatchedStatus;
}

/** A change that came after {@link StatusTable.shutdown} and was therefore not made. */
export type IgnoredChange =
  | { readonly change: "set"; readonly service: string; readonly status: RegisteredStatus }
  | { readonly change: "clear"; readonly service: string };

export interface StatusTableOptions {
  /** Most names, the empty one included. Default 100,000. */
  readonly maxServices?: number;
  /** Most watchers, of all names together. Default 100,000. */
  readonly maxWatchers?: number;
  /** Called after each change and before the watchers hear of it. */
  readonly onTransition?: (transition: StatusTransition) => void;
  /** Called for each change that the shutdown latch refused; the place for a log line. */
  readonly onIgnored?: (change: IgnoredChange) => void;
  /** Called with what a watcher or another hook threw. What this hook itself throws is dropped: nobody is left to tell. */
  readonly onListenerError?: (error: unknown, service: string) => void;
}

/** A bound of {@link StatusTableOptions} is reached. A health service answers it with RESOURCE_EXHAUSTED. */
export class StatusTableFullError extends Error {
  override readonly name = "StatusTableFullError";
  readonly bound: "services" | "watchers";

  constructor(bound: "services" | "watchers", max: number) {
    super(`The health table already holds its maximum of ${max} ${bound}`);
    this.bound = bound;
  }
}

export type StatusListener = (status: WatchedStatus) => void;

interface Watcher {
  readonly service: string;
  readonly listener: StatusListener;
  lastHeard: WatchedStatus | undefined;
}

/**
 * The status of every name, who watches it, and one latch.
 *
 * The empty name is the whole server's status: it is always registered and starts NOT_SERVING. Names match exactly.
 * Listeners run synchronously inside the change; each hears the status that holds at that moment and never the same one
 * twice in a row, also when a listener changes the table. After {@link shutdown} every registered name is NOT_SERVING and
 * changes are ignored until {@link resume}.
 *
 * Source: grpc/grpc, doc/health-checking.md.
 */
export class StatusTable {
  readonly #statuses = new Map<string, RegisteredStatus>([["", "NOT_SERVING"]]);
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #followers = new Set<() => void>();
  readonly #options: StatusTableOptions;
  readonly #maxServices: number;
  readonly #maxWatchers: number;
  #watcherCount = 0;
  #isShutDown = false;

  /** Throws a RangeError when a maximum is not a whole number of at least 1. */
  constructor(options: StatusTableOptions = {}) {
    this.#options = options;
    this.#maxServices = positiveInteger("maxServices", options.maxServices ?? 100_000);
    this.#maxWatchers = positiveInteger("maxWatchers", options.maxWatchers ?? 100_000);
  }

  /** Registered names, the empty one included. */
  get size(): number {
    return this.#statuses.size;
  }

  get watcherCount(): number {
    return this.#watcherCount;
  }

  /** True between {@link shutdown} and {@link resume}. */
  get isShutDown(): boolean {
    return this.#isShutDown;
  }

  /**
   * Registers the name or changes its status. Throws {@link StatusTableFullError} for a new name beyond `maxServices`, a
   * RangeError for a name that nobody could ask for (over 1024 bytes, not valid Unicode), and a TypeError for any other
   * status.
   */
  set(service: string, status: RegisteredStatus): void {
    if (status !== "SERVING" && status !== "NOT_SERVING") {
      throw new TypeError(`status: ${String(status)}, expected SERVING or NOT_SERVING`);
    }
    if (this.#isShutDown) {
      this.#guard(service, () => this.#options.onIgnored?.({ change: "set", service, status }));
      return;
    }
    if (!this.#statuses.has(service)) {
      assertServiceName(service);
      if (this.#statuses.size >= this.#maxServices) throw new StatusTableFullError("services", this.#maxServices);
    }
    if (this.#apply([service], status)) this.#tellFollowers();
  }

  /**
   * Ends a registration: its watchers hear SERVICE_UNKNOWN. The empty name cannot be unregistered and goes back to
   * NOT_SERVING. A name that is not registered stays so.
   */
  clear(service: string): void {
    if (this.#isShutDown) {
      this.#guard(service, () => this.#options.onIgnored?.({ change: "clear", service }));
      return;
    }
    if (this.#apply([service], service === "" ? "NOT_SERVING" : "SERVICE_UNKNOWN")) this.#tellFollowers();
  }

  /** Undefined for a name that is not registered. */
  get(service: string): RegisteredStatus | undefined {
    return this.#statuses.get(service);
  }

  /** A copy: later changes do not show in it. */
  list(): Map<string, RegisteredStatus> {
    return new Map(this.#statuses);
  }

  /**
   * Tells the listener the current status at once and then each change, and answers a function that ends this and frees
   * the watcher's slot. Throws {@link StatusTableFullError} beyond `maxWatchers`. What the listener throws goes to
   * `onListenerError` and ends nothing.
   */
  watch(service: string, listener: StatusListener): () => void {
    if (this.#watcherCount >= this.#maxWatchers) throw new StatusTableFullError("watchers", this.#maxWatchers);
    const watcher: Watcher = { service, listener, lastHeard: undefined };
    const watchers = this.#watchers.get(service) ?? new Set();
    this.#watchers.set(service, watchers.add(watcher));
    this.#watcherCount += 1;
    this.#deliver(watcher);
    return () => this.#unsubscribe(watcher);
  }

  /**
   * Calls back, without arguments, after each change of whatever name and each turn of the shutdown latch, for somebody
   * who mirrors the whole table; the watchers of the changed names have heard by then. Answers a function that ends this.
   * What the listener throws goes to `onListenerError`, with the empty name.
   */
  onChange(listener: () => void): () => void {
    const follower = (): void => listener();
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /** Makes every registered name NOT_SERVING, tells the watchers, and ignores changes from now on. */
  shutdown(): void {
    if (this.#isShutDown) return;
    this.#isShutDown = true;
    this.#apply([...this.#statuses.keys()], "NOT_SERVING");
    this.#tellFollowers();
  }

  /**
   * Accepts changes again. No status comes back by itself: each name stays NOT_SERVING until it is set, because what was
   * true before the shutdown need not be true now.
   */
  resume(): void {
    if (!this.#isShutDown) return;
    this.#isShutDown = false;
    this.#tellFollowers();
  }

  /** True when anything changed. */
  #apply(services: readonly string[], to: WatchedStatus): boolean {
    const transitions: StatusTransition[] = [];
    for (const service of services) {
      const from = this.#watched(service);
      if (from === to) continue;
      if (to === "SERVICE_UNKNOWN") this.#statuses.delete(service);
      else this.#statuses.set(service, to);
      transitions.push({ service, from, to });
    }
    // Only now, so that whoever is told of one name and looks at another sees the whole change.
    for (const transition of transitions) {
      const { service } = transition;
      this.#guard(service, () => this.#options.onTransition?.(transition));
      for (const watcher of this.#watchers.get(service) ?? []) this.#deliver(watcher);
    }
    return transitions.length > 0;
  }

  #tellFollowers(): void {
    for (const follower of this.#followers) this.#guard("", follower);
  }

  #watched(service: string): WatchedStatus {
    return this.#statuses.get(service) ?? "SERVICE_UNKNOWN";
  }

  // Reads the status instead of being handed one: a listener further up the stack may have changed it since.
  #deliver(watcher: Watcher): void {
    const status = this.#watched(watcher.service);
    if (status === watcher.lastHeard) return;
    watcher.lastHeard = status;
    this.#guard(watcher.service, () => watcher.listener(status));
  }

  #unsubscribe(watcher: Watcher): void {
    const watchers = this.#watchers.get(watcher.service);
    if (!watchers?.delete(watcher)) return;
    this.#watcherCount -= 1;
    if (watchers.size === 0) this.#watchers.delete(watcher.service);
  }

  #guard(service: string, callback: () => void): void {
    try {
      callback();
    } catch (error) {
      try {
        this.#options.onListenerError?.(error, service);
      } catch {
        // See onListenerError.
      }
    }
  }
}

function positiveInteger(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`${name}: ${value}, expected a whole number >= 1`);
  return value;
}
