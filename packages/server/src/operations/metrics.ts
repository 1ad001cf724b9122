import { Counter, Gauge, Registry } from "prom-client";
import { CallMetrics } from "./call-metrics.ts";

export interface Metrics {
  /** What Prometheus reads, in its text format, and the format's name for the HTTP header. */
  read(): Promise<{ readonly text: string; readonly contentType: string }>;
  /** Counts a change of health. */
  healthChanged(verdict: string, reason: string): void;
  /** Counts gRPC calls. */
  readonly calls: CallMetrics;
}

/**
 * Makes the server's metrics. `healthStatuses` is asked at each reading for every name with whether it is SERVING.
 * Those of gRPC calls are {@link CallMetrics}'.
 *
 * | metric | type | labels |
 * | --- | --- | --- |
 * | tokenwire_health_transitions_total | counter | verdict, reason |
 * | tokenwire_health_status | gauge: 1 is SERVING, 0 is NOT_SERVING | service |
 */
export function createMetrics(healthStatuses: () => Iterable<readonly [service: string, isServing: boolean]>): Metrics {
  const registry = new Registry();
  const transitions = new Counter({
    name: "tokenwire_health_transitions_total",
    help: "Changes of the health verdict, or of its reason.",
    labelNames: ["verdict", "reason"],
    registers: [registry],
  });
  new Gauge({
    name: "tokenwire_health_status",
    help: "What a health name answers: 1 is SERVING, 0 is NOT_SERVING.",
    labelNames: ["service"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [service, isServing] of healthStatuses()) this.set({ service }, isServing ? 1 : 0);
    },
  });
  const calls = new CallMetrics();
  return {
    read: async () => ({ text: `${await registry.metrics()}\n${calls.text()}`, contentType: registry.contentType }),
    healthChanged: (verdict, reason) => transitions.inc({ verdict, reason }),
    calls,
  };
}
