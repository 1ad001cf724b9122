import { createHealthService, type HealthCheckResponse, type ServingStatus, StatusTable } from "@tokenwire/health";
import { ManualClock, settled } from "../../operations/testing/manual-clock.ts";
import type { Call, ServerStreamingCall } from "../../rpc/call.ts";
import type { Service } from "../../rpc/service.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { annotationOf } from "../annotation.ts";
import type { ProcessSample } from "../evidence/read-process.ts";
import { HealthMonitor } from "../health-monitor.ts";
import { type HealthAlias, healthNames } from "../names.ts";
import { type HealthThresholds, healthThresholds } from "../thresholds.ts";
import type { Verdict } from "../verdict.ts";
import { WorkLedger } from "../work-ledger.ts";
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
  readonly health: HealthMonitor;
  readonly ledger: WorkLedger;
  /** What was told of each transition. */
  readonly verdicts: readonly Verdict[];
  /** The trailers of the last Check. */
  readonly trailers: Readonly<Record<string, string>>;
  readonly log: readonly LoggedLine[];
  check(service: string): Promise<ServingStatus>;
  watch(service: string): WatchingClient;
}

/** Thresholds that are left out have their defaults, but for `canaryIntervalMs`, which is 0. */
export type HealthRigOptions = Partial<HealthThresholds> & {
  readonly engine?: ScriptedEngine;
  readonly table?: StatusTable;
  readonly checkWaitMs?: number;
  readonly aliases?: readonly HealthAlias[];
  readonly readProcess?: (pid: number) => ProcessSample | undefined;
};

export function createHealthRig(options: HealthRigOptions = {}): HealthRig {
  const { engine = new ScriptedEngine(), table = new StatusTable(), aliases = [], ...rest } = options;
  const { checkWaitMs = 500, readProcess = () => undefined, ...thresholds } = rest;
  const clock = new ManualClock();
  const ledger = new WorkLedger();
  const log: LoggedLine[] = [];
  const verdicts: Verdict[] = [];
  const trailers: Record<string, string> = {};
  const health = new HealthMonitor({
    engine,
    ledger,
    table,
    clock,
    names: healthNames(aliases),
    log: { info: writer(log, "info"), warn: writer(log, "warn"), error: writer(log, "error") },
    thresholds: healthThresholds({ canaryIntervalMs: 0, ...thresholds }),
    onTransition: (verdict) => verdicts.push(verdict),
    checkWaitMs,
    readProcess,
  });
  health.start();
  const service: Service = createHealthService(table, {
    beforeCheck: () => health.refresh(),
    annotate: () => annotationOf(health.verdict),
  });
  return {
    engine,
    table,
    clock,
    health,
    ledger,
    verdicts,
    trailers,
    log,
    check: async (name) => {
      const method = service.methods.find(({ name }) => name === "Check");
      if (method?.kind !== "unary") throw new TypeError("Check is not unary");
      const call: Call = { ...liveCall(), setTrailer: (key, value) => Object.assign(trailers, { [key]: value }) };
      return ((await method.handler({ service: name }, call)) as HealthCheckResponse).status;
    },
    watch: (name) => watch(service, name),
  };
}

/** A rig whose engine is ready and has answered its first check. */
export async function readyRig(options?: HealthRigOptions): Promise<HealthRig> {
  const rig = createHealthRig(options);
  rig.engine.become({ t: "ready" });
  await settled();
  return rig;
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
