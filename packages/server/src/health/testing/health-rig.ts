import { createHealthService, type HealthCheckResponse, type ServingStatus, StatusTable } from "@tokenwire/health";
import { ManualClock } from "../../operations/testing/manual-clock.ts";
import type { Call, ServerStreamingCall } from "../../rpc/call.ts";
import type { Service } from "../../rpc/service.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { EngineHealth, type EngineHealthOptions } from "../engine-health.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

export const engineService = "vllm.grpc.engine.VllmEngine";

/** One line of the log that a test reads back. */
export interface LoggedLine {
  readonly level: "info" | "warn" | "error";
  readonly reason: string;
  readonly sentence: string;
}

/** A Watch as its client sees it. */
export interface WatchingClient {
  readonly heard: readonly ServingStatus[];
  /** True until the stream ended. */
  readonly isOpen: boolean;
  hangUp(): void;
}

/** The real table and service over a scripted engine: what a client would see, without a port. */
export interface HealthRig {
  readonly engine: ScriptedEngine;
  readonly table: StatusTable;
  readonly clock: ManualClock;
  readonly health: EngineHealth;
  readonly log: readonly LoggedLine[];
  check(service: string): Promise<ServingStatus>;
  watch(service: string): WatchingClient;
}

export type HealthRigOptions = Partial<Pick<EngineHealthOptions, "intervalMs" | "silenceMs" | "checkWaitMs">> & {
  readonly engine?: ScriptedEngine;
  readonly table?: StatusTable;
};

export function createHealthRig(options: HealthRigOptions = {}): HealthRig {
  const { engine = new ScriptedEngine(), table = new StatusTable(), ...times } = options;
  const clock = new ManualClock();
  const log: LoggedLine[] = [];
  const health = new EngineHealth({
    engine,
    table,
    clock,
    services: [engineService],
    log: { info: writer(log, "info"), warn: writer(log, "warn"), error: writer(log, "error") },
    ...times,
  });
  const service: Service = createHealthService(table, { beforeCheck: () => health.refresh() });
  return {
    engine,
    table,
    clock,
    health,
    log,
    check: async (name) => {
      const method = service.methods.find(({ name }) => name === "Check");
      if (method?.kind !== "unary") throw new TypeError("Check is not unary");
      return ((await method.handler({ service: name }, liveCall())) as HealthCheckResponse).status;
    },
    watch: (name) => watch(service, name),
  };
}

function writer(log: LoggedLine[], level: LoggedLine["level"]) {
  return (fields: unknown, sentence?: string): void => {
    log.push({ level, reason: (fields as LoggedLine).reason, sentence: sentence ?? "" });
  };
}

function liveCall(signal: AbortSignal = new AbortController().signal): Call {
  return {
    path: "",
    peer: "",
    metadata: { get: () => undefined },
    deadlineMs: undefined,
    signal,
    sendHeaders: () => {},
    setTrailer: () => {},
  };
}

function watch(service: Service, name: string): WatchingClient {
  const method = service.methods.find(({ name }) => name === "Watch");
  if (method?.kind !== "server-streaming") throw new TypeError("Watch is not server-streaming");
  const hangUp = new AbortController();
  const heard: ServingStatus[] = [];
  const call: ServerStreamingCall<unknown> = {
    ...liveCall(hangUp.signal),
    write: (message) => heard.push((message as HealthCheckResponse).status) > 0,
    drained: () => Promise.resolve(),
  };
  const client = {
    heard,
    isOpen: true,
    hangUp: () => hangUp.abort(GrpcStatusError.of("CANCELLED", "The client hung up.")),
  };
  const closed = (): void => {
    client.isOpen = false;
  };
  method.handler({ service: name }, call).then(closed, closed);
  return client;
}
