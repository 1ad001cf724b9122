import { type RegisteredStatus, StatusTable } from "@tokenwire/health";
import type { Annotation, BoardEntry, BoardState } from "./board-state.ts";
import type { MainLoopState } from "./main-loop-watch.ts";

/**
 * What a name answers for. "overall" and "liveness" outlast a stall of the main loop and fall with a hang; "readiness"
 * falls with both.
 */
export type HealthClass = "overall" | "readiness" | "liveness";

export interface MirroredHealthOptions {
  /** A name that is not in it is "readiness": it answers for something that needs the main loop. */
  readonly classes: ReadonlyMap<string, HealthClass>;
  readonly maxWatchers?: number;
  /** See `StatusTableOptions`. */
  readonly onListenerError?: (error: unknown, service: string) => void;
}

/** A status table that says what the board says, and less where the main loop does not turn. */
export class MirroredHealth {
  readonly table: StatusTable;
  readonly #classes: ReadonlyMap<string, HealthClass>;
  #board: BoardState = { isShutDown: false, entries: [] };
  #mainLoop: MainLoopState = { t: "turning" };

  constructor({ classes, ...options }: MirroredHealthOptions) {
    this.#classes = classes;
    this.table = new StatusTable(options);
  }

  /** Takes over a new state of the board; watchers hear what it changes. */
  mirror(board: BoardState): void {
    this.#board = board;
    this.#apply();
  }

  /** Takes over a new judgement of the main loop. */
  judge(mainLoop: MainLoopState): void {
    this.#mainLoop = mainLoop;
    this.#apply();
  }

  /** Why the name answers as it does: the board's annotation, or the main loop where that alone is to blame. */
  annotate(service: string): Annotation | undefined {
    const entry = this.#board.entries.find((candidate) => candidate.service === service);
    if (entry === undefined || this.#status(entry) === entry.status) return entry?.annotation;
    switch (this.#mainLoop.t) {
      case "turning":
        return undefined;
      case "stalled":
      case "hung":
        return {
          "tokenwire-health-reason": `main-loop-${this.#mainLoop.t}`,
          "tokenwire-health-detail": sentenceOn(this.#mainLoop),
        };
    }
  }

  #apply(): void {
    const { isShutDown, entries } = this.#board;
    if (!isShutDown) this.table.resume();
    const kept = new Set(entries.map(({ service }) => service));
    for (const service of this.table.list().keys()) if (!kept.has(service)) this.table.clear(service);
    for (const entry of entries) this.table.set(entry.service, this.#status(entry));
    if (isShutDown) this.table.shutdown();
  }

  #status({ service, status }: BoardEntry): RegisteredStatus {
    switch (this.#mainLoop.t) {
      case "turning":
        return status;
      case "stalled":
        return (this.#classes.get(service) ?? "readiness") === "readiness" ? "NOT_SERVING" : status;
      case "hung":
        return "NOT_SERVING";
    }
  }
}

/** A judgement of the main loop for people. */
export function sentenceOn(mainLoop: MainLoopState): string {
  switch (mainLoop.t) {
    case "turning":
      return "The server's main loop turns.";
    case "stalled":
      return `The server's main loop stands still, at least for ${Math.round(mainLoop.silentMs)} ms.`;
    case "hung":
      return `The server's main loop hangs, at least for ${Math.round(mainLoop.silentMs)} ms.`;
  }
}
