import { StatusTable } from "@tokenwire/health";
import type { Engine } from "../engine/engine.ts";
import { annotationOf } from "../health/annotation.ts";
import { HealthMonitor } from "../health/health-monitor.ts";
import { healthNames } from "../health/names.ts";
import { healthCheckOutcomeOf, type NameClass } from "../health/status-of.ts";
import { sentenceOf } from "../health/verdict.ts";
import { watchWork } from "../health/watch-work.ts";
import { WorkLedger } from "../health/work-ledger.ts";
import { systemClock } from "../operations/clock.ts";
import type { Log } from "../operations/log.ts";
import { createMetrics, type Metrics } from "../operations/metrics.ts";
import type { HealthAnswer } from "../services/vllm-engine/context.ts";
import type { ServeConfiguration } from "./configuration.ts";

/** Health and what hangs on it, put together and not begun. */
export interface BuiltHealth {
  /** The engine for everybody but the monitor: what passes through it is evidence. */
  readonly engine: Engine;
  readonly monitor: HealthMonitor;
  readonly table: StatusTable;
  readonly names: ReadonlyMap<string, NameClass>;
  readonly metrics: Metrics;
  /** Why a name answers as it does, as trailing metadata. */
  annotate(): Readonly<Record<string, string>>;
  /** For the HealthCheck RPC: asks the engine first. */
  answer(): Promise<HealthAnswer>;
}

export function buildHealth(engine: Engine, configuration: ServeConfiguration, log: Log): BuiltHealth {
  const table = new StatusTable({
    onListenerError: (err, service) => log.error({ reason: "watcher-failed", service, err }, "a health watcher failed"),
  });
  const metrics = createMetrics(() => [...table.list()].map(([name, status]) => [name, status === "SERVING"] as const));
  const ledger = new WorkLedger();
  const names = healthNames(configuration.healthAliases);
  const monitor = new HealthMonitor({
    engine,
    ledger,
    table,
    names,
    thresholds: configuration.healthThresholds,
    log,
    onTransition: ({ t, reason }) => metrics.healthChanged(t, reason),
  });
  return {
    engine: watchWork(engine, ledger, systemClock),
    monitor,
    table,
    names,
    metrics,
    annotate: () => annotationOf(monitor.verdict),
    answer: async () => {
      await monitor.refresh();
      const { verdict } = monitor;
      return {
        outcome: healthCheckOutcomeOf(verdict),
        message: sentenceOf(verdict),
        trailers: annotationOf(verdict),
      };
    },
  };
}
