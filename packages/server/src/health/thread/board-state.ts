import type { RegisteredStatus } from "@tokenwire/health";

/** Trailing metadata that explains a status: `tokenwire-health-reason`, `tokenwire-health-detail`. */
export type Annotation = Readonly<Record<string, string>>;

export interface BoardEntry {
  readonly service: string;
  readonly status: RegisteredStatus;
  readonly annotation: Annotation | undefined;
}

/** Everything that the main thread says about its health at one moment. */
export interface BoardState {
  /** The status table is latched: no status changes any more. */
  readonly isShutDown: boolean;
  readonly entries: readonly BoardEntry[];
}

/** A record of the board is UTF-8 JSON: small, rare, and written and read by one version of the program. */
export function encodeBoardState(state: BoardState): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(state));
}

/** Answers what {@link encodeBoardState} wrote; undefined for the empty record that new memory holds. */
export function decodeBoardState(bytes: Uint8Array): BoardState | undefined {
  return bytes.length === 0 ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as BoardState);
}
