import { readFile } from "node:fs/promises";
import type { ProbeOptions, ProbeTlsOptions } from "@tokenwire/health/probe";
import type { ProbeConfiguration, ProbeTls } from "./configuration.ts";
import { UsageError } from "./usage-error.ts";

/** What the health library is asked with. Throws a UsageError for a certificate or key that cannot be read. */
export async function probeOptions(configuration: ProbeConfiguration): Promise<ProbeOptions> {
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

/** Runs a probe or a watch, whose own errors are about its options: failures of the server are answers. */
export async function askedWith<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (thrown) {
    if (thrown instanceof TypeError || thrown instanceof RangeError) throw new UsageError(`${thrown.message}.`);
    throw thrown;
  }
}
