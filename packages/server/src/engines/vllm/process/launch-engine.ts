import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { EngineError } from "../../../engine/errors.ts";
import type { Log } from "../../../operations/log.ts";
import type { LaunchedEngine, LaunchOptions } from "../engine-source.ts";
import { engineArguments } from "./engine-arguments.ts";
import { EngineProcess } from "./engine-process.ts";
import { findCommand, missingCommand } from "./find-command.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";
import { startPhaseOf } from "./start-phases.ts";

export interface LaunchEngineOptions extends LaunchOptions {
  /** The program, on the PATH or as a path. */
  readonly command: string;
  readonly args: readonly string[];
  /** The engine's output; made with mode 0600, emptied. */
  readonly logPath: string;
  readonly log: Log;
  readonly stopGraceMs?: number | undefined;
}

/** An engine's process as it is kept in mind for a later front end. */
export interface EngineHandle extends LaunchedEngine {
  readonly identity: ProcessIdentity;
  readonly logPath: string | undefined;
  /** Leaves the engine running and looks at it no more. Idempotent. */
  release(): void;
}

/**
 * Starts `vllm serve MODEL --headless …` as the leader of a session of its own, so that it outlives this process unless
 * {@link LaunchedEngine.stop} ends it. Throws `failed-precondition` when there is no such program or it cannot run.
 */
export function launchEngine(options: LaunchEngineOptions): EngineHandle {
  const program = findCommand(options.command);
  if (program === undefined) throw new EngineError("failed-precondition", missingCommand(options.command));
  const descriptor = openSync(options.logPath, "w", 0o600);
  closeSync(descriptor);
  // Appending, because what was read is cut off the file's beginning meanwhile.
  const output = openSync(options.logPath, "a", 0o600);
  const args = engineArguments(options);
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", output, output],
    env: { ...process.env, PYTHONUNBUFFERED: "1" },
  });
  closeSync(output);
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity === undefined) {
    child.once("error", () => {});
    throw new EngineError("failed-precondition", `${program} could not be started.`);
  }
  options.log.info({ pid: identity.pid, command: [program, ...args].join(" ") }, "vLLM's engine starts");
  const engine = new EngineProcess({
    identity,
    logPath: options.logPath,
    isAdopted: false,
    onLine: lineReader(options),
    onExit: options.onExit,
    stopGraceMs: options.stopGraceMs,
  });
  child.on("error", (error) => options.log.warn({ reason: error.message }, "a signal could not be sent to vLLM"));
  child.on("exit", (code, signal) => engine.exited(signal === null ? `exit code ${code}` : `signal ${signal}`));
  child.unref();
  return engine;
}

export interface AdoptEngineOptions extends Pick<LaunchOptions, "onExit"> {
  readonly identity: ProcessIdentity;
  readonly logPath: string | undefined;
  readonly log: Log;
  readonly stopGraceMs?: number | undefined;
}

/** Takes over a running engine that another front end has started. */
export function adoptEngine(options: AdoptEngineOptions): EngineHandle {
  const { identity, logPath, onExit, stopGraceMs } = options;
  return new EngineProcess({ identity, logPath, isAdopted: true, onLine: lineReader(options), onExit, stopGraceMs });
}

/** Puts the engine's lines into our log and finds out how far the start is. */
function lineReader({
  log,
  onProgress,
}: {
  log: Log;
  onProgress?: LaunchOptions["onProgress"];
}): (line: string) => void {
  let reached = 0;
  return (line) => {
    const phase = startPhaseOf(line);
    if (phase !== undefined && phase.fraction > reached) {
      reached = phase.fraction;
      onProgress?.(reached);
      log.info({ engine: "vllm" }, `${phase.name}: ${line}`);
    } else if (/\b(ERROR|CRITICAL)\b/.test(line)) {
      log.warn({ engine: "vllm" }, line);
    } else {
      log.debug({ engine: "vllm" }, line);
    }
  };
}
