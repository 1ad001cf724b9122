import { join } from "node:path";
import type { EngineProfiler } from "../../engine/profiler.ts";
import type { ProfileResponse, StartProfileRequest, StopProfileRequest } from "../../generated/common.ts";
import { CpuProfiler } from "../../operations/cpu-profiler.ts";
import type { Call, UnaryHandler } from "../../rpc/call.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { bounded, wait } from "./bounded.ts";
import type { VllmEngineContext } from "./context.ts";
import { requireReady } from "./engine-status.ts";
import { profileFolder } from "./profile-folder.ts";
import { refuse } from "./validate/refuse.ts";

/** As vLLM's servicer bounds both calls. */
const longestAnswerMs = 600_000;
/** A profile grows with time. One that nobody stops is ended and written after this. */
const longestProfileMs = 300_000;

interface Recording {
  /** Undefined where the engine was told at its launch what to write. */
  readonly files: readonly string[] | undefined;
  /** Calls off the end that comes by itself. */
  readonly ended: AbortController;
}

/**
 * StartProfile and StopProfile: profiles of the server's and the engine's JavaScript in `--profile-dir`, or of whatever an
 * engine with a profiler of its own records.
 *
 * FAILED_PRECONDITION when a profile is under way (start) or none is (stop), and without `--profile-dir`;
 * INVALID_ARGUMENT for options that cannot be honoured; UNIMPLEMENTED for an engine without a profiler;
 * DEADLINE_EXCEEDED when the engine does not answer in 600 s.
 */
export class Profiles {
  readonly #context: VllmEngineContext;
  readonly #server = new CpuProfiler();
  #taken = 0;
  /** "busy" while a start or a stop is under way. */
  #state: Recording | "busy" | undefined;

  constructor(context: VllmEngineContext) {
    this.#context = context;
  }

  readonly start: UnaryHandler<StartProfileRequest, ProfileResponse> = async (request, call) => {
    const profiler = this.#profiler();
    refuseOptions(request, profiler.takesPath);
    const { profileDir } = this.#context;
    if (profiler.takesPath && profileDir === undefined) {
      fail("the server was started without --profile-dir, the folder that profiles go to");
    }
    if (this.#state !== undefined) fail("a profile is being taken already; StopProfile ends it");
    this.#state = "busy";
    let recording: Recording | undefined;
    try {
      const files = profileDir === undefined ? undefined : await this.#files(profileDir, request.outputDir);
      await this.#begin(profiler, files, call);
      recording = { files, ended: new AbortController() };
    } finally {
      this.#state = recording;
    }
    this.#endLater(recording);
    const where = recording.files === undefined ? "" : `; it goes to ${recording.files.join(" and ")}`;
    return { success: true, message: `a profile is being taken${where}` };
  };

  readonly stop: UnaryHandler<StopProfileRequest, ProfileResponse> = async (_request, call) => {
    const recording = this.#state;
    const { profiler } = this.#context.engine;
    if (profiler === undefined) throw lacking();
    if (recording === undefined || recording === "busy") fail("no profile is being taken; StartProfile begins one");
    await this.#end(recording, (work) => inTime(this.#context, call, work), profiler);
    const where = recording.files === undefined ? "" : `: ${recording.files.join(" and ")}`;
    return { success: true, message: `the profile is written${where}` };
  };

  #profiler(): EngineProfiler {
    requireReady(this.#context.engine);
    const { profiler } = this.#context.engine;
    if (profiler === undefined) throw lacking();
    return profiler;
  }

  async #files(profileDir: string, outputDir: string | undefined): Promise<[string, string]> {
    const folder = await profileFolder(profileDir, outputDir);
    this.#taken += 1;
    const stamp = `${new Date(this.#context.now()).toISOString().replaceAll(":", "")}-${process.pid}-${this.#taken}`;
    return [join(folder, `server-${stamp}.cpuprofile`), join(folder, `engine-${stamp}.cpuprofile`)];
  }

  async #begin(profiler: EngineProfiler, files: [string, string] | undefined, call: Call): Promise<void> {
    if (files !== undefined) await this.#server.start(files[0]);
    try {
      await inTime(this.#context, call, profiler.start(profiler.takesPath ? files?.[1] : undefined));
    } catch (thrown) {
      // A start that failed, or was given up and comes late, must not leave anything recording.
      if (this.#server.isRunning) await this.#server.stop().catch(() => undefined);
      void profiler.stop().catch(() => undefined);
      throw thrown;
    }
  }

  async #end(recording: Recording, wait: (work: Promise<void>) => Promise<void>, profiler: EngineProfiler) {
    recording.ended.abort();
    this.#state = "busy";
    try {
      // Both are ended, whatever becomes of either.
      const engine = wait(profiler.stop());
      const server = this.#server.isRunning ? this.#server.stop() : Promise.resolve();
      const [first, second] = await Promise.allSettled([engine, server]);
      for (const result of [first, second]) if (result.status === "rejected") throw result.reason;
    } finally {
      this.#state = undefined;
    }
  }

  #endLater(recording: Recording): void {
    wait(this.#context, longestProfileMs, recording.ended.signal)
      .then(async () => {
        const { log, engine } = this.#context;
        log.warn({ files: recording.files }, `a profile was ended after ${longestProfileMs / 1000} s`);
        if (engine.profiler !== undefined) await this.#end(recording, (work) => work, engine.profiler);
      })
      // Called off by a stop, or the engine is gone: the next StartProfile says so.
      .catch(() => undefined);
  }
}

/** @throws GrpcStatusError DEADLINE_EXCEEDED when the work takes longer than any client waits. */
async function inTime(context: VllmEngineContext, call: Call, work: Promise<void>): Promise<void> {
  if ((await bounded(context, call, longestAnswerMs, work)) !== undefined) return;
  throw GrpcStatusError.of("DEADLINE_EXCEEDED", `the engine's profiler gave no answer in ${longestAnswerMs / 1000} s`);
}

function refuseOptions(request: StartProfileRequest, takesPath: boolean): void {
  const { outputDir, startStep, numSteps, activities, withStack, recordShapes, profileByStage } = request;
  const atLaunch = "left out: this engine's profiler is set up when the engine is launched";
  if (!takesPath && outputDir !== undefined) refuse("output_dir", "not taken", outputDir, atLaunch);
  const why = takesPath ? "left out: a CPU profile goes from StartProfile to StopProfile" : atLaunch;
  const values = { start_step: startStep, num_steps: numSteps, record_shapes: recordShapes, with_stack: withStack };
  for (const [field, value] of Object.entries(values)) {
    if (value === undefined || (takesPath && value === (field === "with_stack"))) continue;
    refuse(field, "not taken", value, field === "with_stack" && takesPath ? "true or left out" : why);
  }
  if (profileByStage) refuse("profile_by_stage", "not taken", true, takesPath ? "false" : atLaunch);
  const other = takesPath ? activities.find((activity) => activity.toUpperCase() !== "CPU") : activities[0];
  if (other !== undefined) refuse("activities", "not taken", other, takesPath ? "CPU or left out" : atLaunch);
}

function lacking(): GrpcStatusError {
  return GrpcStatusError.of("UNIMPLEMENTED", "this engine has no profiler");
}

function fail(details: string): never {
  throw GrpcStatusError.of("FAILED_PRECONDITION", details);
}
