import type { StatusTable } from "@tokenwire/health";
import type { BoardMemory } from "./board-memory.ts";
import { type Annotation, type BoardEntry, encodeBoardState } from "./board-state.ts";

/** Longest value of an annotation on the board, in UTF-16 units; the rest is cut off. */
const maxAnnotationLength = 1024;

export interface StatusBoardOptions {
  readonly table: StatusTable;
  readonly memory: BoardMemory;
  /** Why a name answers as it does. It may change while the status stays. */
  readonly annotate?: ((service: string) => Annotation | undefined) | undefined;
  /** These stand on the board also when the table holds more than fits; without their reasons if need be. */
  readonly essential: readonly string[];
  /** Told once, when not everything fits. */
  readonly onOverflow: (namesLeftOut: number) => void;
}

/**
 * Writes a status table into shared memory: at once, after each change, and when {@link publish} looks again. Nothing is
 * written when nothing changed, so that a reader is woken for news only.
 */
export class StatusBoard {
  readonly #options: StatusBoardOptions;
  readonly #stop: () => void;
  #written: Uint8Array | undefined;
  #overflowed = false;

  constructor(options: StatusBoardOptions) {
    this.#options = options;
    this.#stop = options.table.onChange(() => this.publish());
    this.publish();
  }

  /** Writes what holds now, if it is news. Throws what `annotate` throws. */
  publish(): void {
    const bytes = this.#encode();
    if (this.#written !== undefined && Buffer.compare(bytes, this.#written) === 0) return;
    this.#options.memory.write(bytes);
    this.#written = bytes;
  }

  /** Follows the table no longer; what was written last stays. Idempotent. */
  stop(): void {
    this.#stop();
  }

  #encode(): Uint8Array {
    const { table, memory, essential, onOverflow } = this.#options;
    const { isShutDown } = table;
    const entries = this.#entries();
    const bytes = encodeBoardState({ isShutDown, entries });
    if (bytes.length <= memory.capacityBytes) return bytes;
    const kept = entries.filter(({ service }) => essential.includes(service));
    if (!this.#overflowed) onOverflow(entries.length - kept.length);
    this.#overflowed = true;
    const keptBytes = encodeBoardState({ isShutDown, entries: kept });
    if (keptBytes.length <= memory.capacityBytes) return keptBytes;
    return encodeBoardState({ isShutDown, entries: kept.map((entry) => ({ ...entry, annotation: undefined })) });
  }

  #entries(): BoardEntry[] {
    const { table, annotate } = this.#options;
    return [...table.list()].map(([service, status]) => ({ service, status, annotation: cut(annotate?.(service)) }));
  }
}

function cut(annotation: Annotation | undefined): Annotation | undefined {
  if (annotation === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(annotation).map(([key, value]) => [key, value.slice(0, maxAnnotationLength)]),
  );
}
