import { open } from "node:fs/promises";
import { Session } from "node:inspector/promises";

/** Samples this thread's JavaScript, one profile at a time, in the form that Chrome's and Node's own tools open. */
export class CpuProfiler {
  #session: Session | undefined;
  #path = "";

  get isRunning(): boolean {
    return this.#session !== undefined;
  }

  /** @param path of the file that {@link stop} makes. Rejects when a profile is under way. */
  async start(path: string): Promise<void> {
    if (this.#session !== undefined) throw new Error("a profile is being taken already");
    const session = new Session();
    session.connect();
    this.#session = session;
    this.#path = path;
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
  }

  /** Writes the profile, readable for the owner alone. Rejects when none is under way or the file exists already. */
  async stop(): Promise<void> {
    const session = this.#session;
    if (session === undefined) throw new Error("no profile is being taken");
    this.#session = undefined;
    try {
      const { profile } = await session.post("Profiler.stop");
      // "wx": what stands there is never overwritten, nor followed where it is a link.
      const file = await open(this.#path, "wx", 0o600);
      try {
        await file.writeFile(JSON.stringify(profile));
      } finally {
        await file.close();
      }
    } finally {
      session.disconnect();
    }
  }
}
