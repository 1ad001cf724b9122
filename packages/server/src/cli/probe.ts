import { readFile } from "node:fs/promises";
import { type ProbeOptions, type ProbeResult, type ProbeTlsOptions, probe } from "@tokenwire/health";
import type { ProbeConfiguration, ProbeTls } from "./configuration.ts";
import type { LineOutput } from "./line-output.ts";
import { ProbeExitCode } from "./probe-flags.ts";
import { UsageError } from "./usage-error.ts";
import { formatAddress } from "./value-parsers.ts";

/**
 * Asks a server for its health once, prints one line as grpc_health_probe does and answers its exit code. Throws a
 * UsageError for what the probe cannot be asked with, such as a certificate file that cannot be read.
 */
export async function runProbe(configuration: ProbeConfiguration, output: LineOutput): Promise<ProbeExitCode> {
  const result = await probeOnce(await probeOptions(configuration));
  switch (result.t) {
    case "status":
      if (result.status === "SERVING") {
        output.out("status: SERVING");
        return ProbeExitCode.SERVING;
      }
      output.error(`service unhealthy (responded with ${JSON.stringify(result.status)})`);
      return ProbeExitCode.UNHEALTHY;
    case "rpc-failed":
      output.error(rpcFailureLine(result, configuration));
      return ProbeExitCode.RPC_FAILURE;
    case "connect-failed":
      output.error(
        result.reason === "timeout"
          ? `timeout: failed to connect service "${formatAddress(configuration)}" within ${configuration.connectTimeoutMs} ms`
          : `error: failed to connect service at "${formatAddress(configuration)}": ${result.message}`,
      );
      return ProbeExitCode.CONNECTION_FAILURE;
  }
}

function rpcFailureLine(
  { code, message }: Extract<ProbeResult, { t: "rpc-failed" }>,
  { rpcTimeoutMs }: ProbeConfiguration,
): string {
  if (code === 4) return `timeout: health rpc did not complete within ${rpcTimeoutMs} ms`;
  if (code === 12) {
    return `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${message}`;
  }
  return `error: health rpc failed: code ${code}: ${message}`;
}

async function probeOnce(options: ProbeOptions): Promise<ProbeResult> {
  try {
    return await probe(options);
  } catch (thrown) {
    // The probe answers failures of the server as values; what it throws is about its options.
    if (thrown instanceof TypeError || thrown instanceof RangeError) throw new UsageError(`${thrown.message}.`);
    throw thrown;
  }
}

async function probeOptions(configuration: ProbeConfiguration): Promise<ProbeOptions> {
  const { host, port, service, connectTimeoutMs, rpcTimeoutMs, userAgent, headers, tls } = configuration;
  const metadata: Record<string, string> = {};
  for (const { name, value } of headers) {
    const earlier = metadata[name];
    // Repeated metadata may travel as one value (grpc/grpc, doc/PROTOCOL-HTTP2.md, Custom-Metadata).
    metadata[name] = earlier === undefined ? value : `${earlier},${value}`;
  }
  const options = { host, port, service, connectTimeoutMs, rpcTimeoutMs, userAgent, metadata };
  return tls === undefined ? options : { ...options, tls: await readTls(tls) };
}

async function readTls(tls: ProbeTls): Promise<ProbeTlsOptions> {
  return {
    insecureSkipVerify: !tls.verify,
    ...(tls.serverName === undefined ? {} : { serverName: tls.serverName }),
    ...(tls.caCertPath === undefined ? {} : { ca: await readPem("--tls-ca-cert", tls.caCertPath) }),
    ...(tls.client === undefined
      ? {}
      : {
          cert: await readPem("--tls-client-cert", tls.client.certPath),
          key: await readPem("--tls-client-key", tls.client.keyPath),
        }),
  };
}

async function readPem(flag: string, path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new UsageError(`${flag}: the file cannot be read: ${reason}.`);
  }
}
