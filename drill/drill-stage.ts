import { setTimeout as sleep } from "node:timers/promises";
import { DrillServer, type DrillServerOptions } from "./drill-server.ts";
import { Load } from "./load.ts";
import { type DrillSettings, serveFlags } from "./settings.ts";
import { Poller, Timeline } from "./timeline.ts";

/** One server with every observer in place. A scenario plays on it and {@link close} takes all of it down. */
export class DrillStage {
  readonly server: DrillServer;
  readonly settings: DrillSettings;
  readonly load: Load;
  readonly overall: Timeline;
  readonly readiness: Timeline;
  readonly liveness: Timeline;
  /** Asks "readiness" on the main port every 50 ms. */
  readonly poller: Poller;

  private constructor(server: DrillServer, settings: DrillSettings) {
    this.server = server;
    this.settings = settings;
    this.load = new Load(server.target);
    this.overall = new Timeline(server.target, "");
    this.readiness = new Timeline(server.target, "readiness");
    this.liveness = new Timeline(server.target, "liveness");
    this.poller = new Poller(server.target, "readiness", 50);
  }

  /** Starts a server with the settings' thresholds; resolves when it serves, unless the load is delayed. */
  static async open(settings: DrillSettings, options: Partial<DrillServerOptions> = {}): Promise<DrillStage> {
    const flags = [...serveFlags(settings), ...(options.flags ?? [])];
    const server = await DrillServer.start({ ...options, flags });
    const stage = new DrillStage(server, settings);
    if ((options.loadDelayMs ?? 0) === 0 && !(await stage.serves(60_000))) {
      const { log } = server;
      await stage.close();
      throw new Error(`the server does not serve\n${log}`);
    }
    return stage;
  }

  get timelines(): readonly Timeline[] {
    return [this.overall, this.readiness, this.liveness];
  }

  /** True when every name reads SERVING within the limit. */
  async serves(limitMs: number): Promise<boolean> {
    const all = await Promise.all(this.timelines.map((timeline) => timeline.reads("SERVING", limitMs)));
    return all.every((yes) => yes);
  }

  /** The reason word that Check gave for NOT_SERVING since then; undefined when there was none. */
  reasonSince(sinceMs: number): string | undefined {
    return this.poller.answers.find((answer) => answer.askedAtMs >= sinceMs && answer.status === "NOT_SERVING")?.reason;
  }

  /** Lets the engine be idle for a moment, with the canary's and the round trips' rhythm found. */
  settle(): Promise<void> {
    return sleep(3 * this.settings.intervalMs);
  }

  async close(): Promise<void> {
    for (const timeline of this.timelines) timeline.close();
    this.poller.close();
    this.load.close();
    await this.server.end();
  }
}
