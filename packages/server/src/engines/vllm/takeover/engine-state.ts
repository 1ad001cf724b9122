import type { RememberedEngines } from "@tokenwire/engine-core";
import type { ProcessIdentity } from "../process/process-identity.ts";

/** What a front end leaves for the next one. It is JSON in a file that its user alone can read. */
export interface EngineState {
  readonly version: 1;
  /** What was asked for; engines that were asked for otherwise are not taken over. */
  readonly request: EngineRequest;
  /** The program that we started; undefined for engines that somebody else starts. */
  readonly process: RunningEngine | undefined;
  /** Undefined until the engines are ready: one that is still starting cannot be taken over. */
  readonly engines: RememberedEngines | undefined;
}

export interface EngineRequest {
  readonly modelPath: string;
  readonly dataParallelSize: number;
  /** The program and its words when we start it. */
  readonly command: readonly string[] | undefined;
}

export interface RunningEngine {
  readonly identity: ProcessIdentity;
  readonly logPath: string | undefined;
}

/** Undefined for what is not a state of this version. */
export function parseEngineState(value: unknown): EngineState | undefined {
  if (!isObject(value) || value.version !== 1) return undefined;
  const request = parseRequest(value.request);
  if (request === undefined) return undefined;
  const running = value.process === undefined ? undefined : parseRunning(value.process);
  if (value.process !== undefined && running === undefined) return undefined;
  const engines = value.engines === undefined ? undefined : parseEngines(value.engines);
  if (value.engines !== undefined && engines === undefined) return undefined;
  return { version: 1, request, process: running, engines };
}

export function sameRequest(one: EngineRequest, other: EngineRequest): boolean {
  return JSON.stringify(canonical(one)) === JSON.stringify(canonical(other));
}

function canonical({ modelPath, dataParallelSize, command }: EngineRequest): readonly unknown[] {
  return [modelPath, dataParallelSize, command ?? null];
}

function parseRequest(value: unknown): EngineRequest | undefined {
  if (!isObject(value)) return undefined;
  const { modelPath, dataParallelSize, command } = value;
  if (typeof modelPath !== "string" || !isCount(dataParallelSize)) return undefined;
  if (command !== undefined && !isStrings(command)) return undefined;
  return { modelPath, dataParallelSize, command };
}

function parseRunning(value: unknown): RunningEngine | undefined {
  if (!isObject(value) || !isObject(value.identity)) return undefined;
  const { pid, startTicks, bootId } = value.identity;
  const { logPath } = value;
  // 1 is the machine's or the container's own, and a group 0 or -1 would be everybody.
  if (!isCount(pid) || pid < 2) return undefined;
  if (startTicks !== undefined && !Number.isSafeInteger(startTicks)) return undefined;
  if (!isOptionalString(bootId) || !isOptionalString(logPath)) return undefined;
  return { identity: { pid, startTicks: startTicks as number | undefined, bootId }, logPath };
}

function parseEngines(value: unknown): RememberedEngines | undefined {
  if (!isObject(value) || value.version !== 1 || !Array.isArray(value.engines) || value.engines.length === 0) {
    return undefined;
  }
  const addresses = [value.handshakeAddress, value.inputAddress, value.outputAddress];
  if (!addresses.every((address) => typeof address === "string" && /^(tcp|ipc):\/\/./.test(address))) return undefined;
  const isComplete = value.engines.every(
    (facts, index) =>
      isObject(facts) && facts.engineIndex === index && isCount(facts.maxModelLenTokens) && isObject(facts.all),
  );
  // The client has written it (RememberedEngines is JSON by its contract); above is what would hurt if it were wrong.
  return isComplete ? (value as unknown as RememberedEngines) : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((word) => typeof word === "string");
}

function isOptionalString(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}
