import { createHealthService } from "@tokenwire/health";
import { type HealthThread, startHealthThread } from "../health/thread/health-thread.ts";
import { exitCode } from "../lifecycle/exit-code.ts";
import { type RunningServer, runServer } from "../lifecycle/run-server.ts";
import { installSignalHandlers } from "../lifecycle/signals.ts";
import { createLog, type Log } from "../operations/log.ts";
import type { Metrics } from "../operations/metrics.ts";
import { type MetricsServer, startMetricsServer } from "../operations/metrics-server.ts";
import type { Service } from "../rpc/service.ts";
import { createReflectionServices } from "../services/reflection/reflection-services.ts";
import { createVllmEngineService } from "../services/vllm-engine/index.ts";
import { ListenError } from "../transport/tokenwire-grpc/listen-error.ts";
import { createRpcServer } from "../transport/tokenwire-grpc/rpc-server.ts";
import { Announcer } from "./announce.ts";
import { buildHealth } from "./build-health.ts";
import type { ServeConfiguration } from "./configuration.ts";
import type { LineOutput } from "./line-output.ts";
import { packageVersion } from "./package-version.ts";
import { selectEngine } from "./select-engine.ts";
import { readTlsFiles, watchTlsFiles } from "./tls-files.ts";
import { countTokens, logTraffic, type TokenCounts } from "./traffic.ts";
import { formatAddress } from "./value-parsers.ts";

/**
 * Serves until a signal or the engine ends it, and answers the exit code. Throws a UsageError for what is wrong with
 * the configuration on this machine (no such model file); nothing has been started then.
 */
export async function serve(configuration: ServeConfiguration, output: LineOutput): Promise<number> {
  const log = createLog(configuration.logLevel);
  const version = packageVersion();
  const tls = configuration.tls === undefined ? undefined : readTlsFiles(configuration.tls);
  const counts: TokenCounts = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0 };
  const health = buildHealth(await selectEngine(configuration, log), configuration, log);
  const { monitor, table } = health;
  const engine = countTokens(health.engine, counts);
  const announcer = new Announcer(output.out);

  const services: Service[] = [
    createVllmEngineService({
      engine,
      servedModelName: configuration.servedModelName,
      version,
      log,
      startedAtMs: Date.now(),
      now: Date.now,
      health: health.answer,
      maxWaitingRequests: configuration.maxWaitingRequests,
      maxQueuedPromptTokens: configuration.maxQueuedPromptTokens,
      profileDir: configuration.profileDir,
      logStats: configuration.logStats,
    }),
    createHealthService(table, { beforeCheck: () => monitor.refresh(), annotate: health.annotate }),
  ];
  services.push(...createReflectionServices(() => services.map((service) => service.name)));

  const stopAnnouncing = engine.onState((state) => announcer.engineState(state));
  let healthThread: HealthThread | undefined;
  let metricsServer: MetricsServer | undefined;
  let running: RunningServer;
  const rpc = createRpcServer({
    log,
    tls,
    maxReceiveMessageBytes: configuration.maxMessageBytes || -1,
    maxConnections: configuration.maxConnections,
    maxConcurrentStreams: configuration.maxStreams,
    observer: configuration.metricsPort === undefined ? undefined : health.metrics.calls,
  });
  try {
    if (configuration.health !== undefined) {
      const { logLevel, healthThresholds } = configuration;
      healthThread = await startHealthThread({
        ...configuration.health,
        table,
        classes: health.names,
        annotate: health.annotate,
        hangTimeoutMs: healthThresholds.hangTimeoutMs,
        log,
        logLevel,
      });
    }
    metricsServer = await serveMetrics(health.metrics, configuration, log);
    running = await runServer({
      rpc,
      engine,
      health: monitor,
      services,
      address: { host: configuration.host, port: configuration.port },
      log,
      withdrawalGraceMs: configuration.withdrawalGraceMs,
      drainTimeoutMs: configuration.drainTimeoutMs,
    });
  } catch (thrown) {
    await healthThread?.close("the server could not start");
    await metricsServer?.close();
    if (!(thrown instanceof ListenError)) throw thrown;
    output.error(`error: ${thrown.message}.`);
    return exitCode.startFailed;
  }

  const forgetSignals = installSignalHandlers(running, log);
  announcer.listening(configuration, version, running.address, healthThread?.address);
  const stopWatching = table.watch("", (status) => {
    if (status === "SERVING") announcer.serving(running.address, performance.now());
  });
  const stopWatchingTls = watchTlsFiles(configuration.tls, tls, (credentials) => rpc.setCertificates(credentials), log);
  const stopTraffic = configuration.logStats ? logTraffic(engine, counts, log) : () => undefined;

  const end = await running.done;
  await healthThread?.close(`the server stopped: ${end.reason}`);
  await metricsServer?.close();
  stopTraffic();
  stopWatchingTls();
  stopWatching();
  stopAnnouncing();
  forgetSignals();
  if (end.exitCode !== exitCode.ok) output.error(`error: ${end.reason}`);
  return end.exitCode;
}

/** Throws a ListenError that names `--metrics-port`. */
async function serveMetrics(
  metrics: Metrics,
  { host, metricsPort }: ServeConfiguration,
  log: Log,
): Promise<MetricsServer | undefined> {
  if (metricsPort === undefined) return undefined;
  const address = { host, port: metricsPort };
  try {
    const server = await startMetricsServer(metrics, address);
    log.info({ host, port: server.port }, `metrics on http://${formatAddress(server)}/metrics`);
    return server;
  } catch (thrown) {
    throw ListenError.from(address, thrown, { host: "--host", port: "--metrics-port" });
  }
}
