import { ClosedStreams } from "./closed-streams.ts";
import { OpenStreams } from "./open-streams.ts";

/** The streams of a connection: those that are open, and what is known of the others. */
export class StreamTable {
  readonly open: OpenStreams = new OpenStreams();
  readonly closed: ClosedStreams = new ClosedStreams();
  /** Number of the newest stream seen. */
  lastSeenId = 0;
  /** Number of the newest stream that was taken. */
  lastTakenId = 0;
  /** Handlers that still run although their stream is gone. */
  lingering = 0;

  /** What counts against the bound of concurrent streams. */
  get busyStreams(): number {
    return this.open.size + this.lingering;
  }
}
