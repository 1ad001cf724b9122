import { createHealthService, StatusTable } from "@tokenwire/health";
import { EngineHealth } from "../health/engine-health.ts";
import { exitCode } from "../lifecycle/exit-code.ts";
import { type HealthLifecycle, type RunningServer, runServer } from "../lifecycle/run-server.ts";
import { installSignalHandlers } from "../lifecycle/signals.ts";
import { createLog } from "../operations/log.ts";
import type { Service } from "../rpc/service.ts";
import { createReflectionServices } from "../services/reflection/reflection-services.ts";
import { createVllmEngineService } from "../services/vllm-engine/index.ts";
import { createGrpcJsServer } from "../transport/grpc-js/grpc-js-server.ts";
import { ListenError } from "../transport/grpc-js/listen-error.ts";
import { Announcer } from "./announce.ts";
import type { ServeConfiguration } from "./configuration.ts";
import type { LineOutput } from "./line-output.ts";
import { packageVersion } from "./package-version.ts";
import { selectEngine } from "./select-engine.ts";
import { countTokens, logTraffic, type TokenCounts } from "./traffic.ts";

/** Beside the overall name: the engine's service, as vLLM has it, and the word for Kubernetes. */
const healthNames = ["vllm.grpc.engine.VllmEngine", "readiness"] as const;

/**
 * Serves until a signal or the engine ends it, and answers the exit code. Throws a UsageError for what is wrong with
 * the configuration on this machine (no such model file); nothing has been started then.
 */
export async function serve(configuration: ServeConfiguration, output: LineOutput): Promise<number> {
  const log = createLog(configuration.logLevel);
  const version = packageVersion();
  const counts: TokenCounts = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0 };
  const engine = countTokens(await selectEngine(configuration, log), counts);
  const announcer = new Announcer(output.out);

  const table = new StatusTable({
    onListenerError: (err, service) => log.error({ reason: "watcher-failed", service, err }, "a health watcher failed"),
  });
  let health: EngineHealth | undefined;
  let draining = false;
  const healthLifecycle: HealthLifecycle = {
    start: () => {
      health = new EngineHealth({ engine, table, services: healthNames, log });
    },
    withdraw: (reason) => {
      draining = true;
      health?.withdraw(reason);
    },
    stop: () => health?.stop(),
  };

  const services: Service[] = [
    createVllmEngineService({
      engine,
      servedModelName: configuration.servedModelName,
      version,
      log,
      startedAtMs: Date.now(),
      now: Date.now,
      draining: () => draining,
      maxWaitingRequests: configuration.maxWaitingRequests,
      logStats: configuration.logStats,
    }),
    createHealthService(table, { beforeCheck: async () => health?.refresh() }),
  ];
  services.push(...createReflectionServices(() => services.map((service) => service.name)));

  const stopAnnouncing = engine.onState((state) => announcer.engineState(state));
  let running: RunningServer;
  try {
    running = await runServer({
      rpc: createGrpcJsServer({ log, maxReceiveMessageBytes: configuration.maxMessageBytes || -1 }),
      engine,
      health: healthLifecycle,
      services,
      address: { host: configuration.host, port: configuration.port },
      log,
      withdrawalGraceMs: configuration.withdrawalGraceMs,
      drainTimeoutMs: configuration.drainTimeoutMs,
    });
  } catch (thrown) {
    if (!(thrown instanceof ListenError)) throw thrown;
    output.error(`error: ${thrown.message}.`);
    return exitCode.startFailed;
  }

  const forgetSignals = installSignalHandlers(running, log);
  announcer.listening(configuration, version, running.address);
  const stopWatching = table.watch("", (status) => {
    if (status === "SERVING") announcer.serving(running.address, performance.now());
  });
  const stopTraffic = configuration.logStats ? logTraffic(engine, counts, log) : () => undefined;

  const end = await running.done;
  stopTraffic();
  stopWatching();
  stopAnnouncing();
  forgetSignals();
  if (end.exitCode !== exitCode.ok) output.error(`error: ${end.reason}`);
  return end.exitCode;
}
