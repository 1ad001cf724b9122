import type { ProbeConfiguration, ProbeTls, ProbeWatch, RpcHeader } from "./configuration.ts";
import type { FlagReader, FlagReaders } from "./flag-readers.ts";
import { UsageError } from "./usage-error.ts";
import { duration, oneOf, serverAddress, text, type ValueParser } from "./value-parsers.ts";

/**
 * Exit codes of `tokenwire probe`, those of grpc_health_probe (README.md of grpc-ecosystem/grpc-health-probe, checked
 * against v0.4.61).
 */
export const ProbeExitCode = {
  /** With --until: the status came. With --watch alone: it ended as asked. */
  SERVING: 0,
  INVALID_ARGUMENTS: 1,
  CONNECTION_FAILURE: 2,
  RPC_FAILURE: 3,
  /** With --until: the status did not come in time. */
  UNHEALTHY: 4,
} as const;

export type ProbeExitCode = (typeof ProbeExitCode)[keyof typeof ProbeExitCode];

/** grpc_health_probe is often called with one dash (`-addr=:50051`); makes those two. */
export function withLongFlags(argv: readonly string[]): string[] {
  return argv.map((word) => (/^-[a-z][a-z-]+(=|$)/.test(word) ? `-${word}` : word));
}

/** Declares the flags of `probe`; the reader gives the configuration or throws a UsageError. */
export function declareProbeFlags(flags: FlagReaders): FlagReader<ProbeConfiguration> {
  flags.group("What to ask");
  const address = flags.value({
    flag: "--addr <host:port>",
    description: "the server",
    parse: serverAddress,
    fallback: "localhost:50051",
  });
  const service = flags.optional({
    flag: "--service <name>",
    description: "the service to ask for (default: the server as a whole)",
    parse: (source, value) => (value === "" ? "" : text(source, value)),
  });
  const connectTimeoutMs = flags.value({
    flag: "--connect-timeout <duration>",
    description: "how long to try to connect",
    parse: duration,
    fallback: "1s",
  });
  const rpcTimeoutMs = flags.value({
    flag: "--rpc-timeout <duration>",
    description: "how long to wait for the answer",
    parse: duration,
    fallback: "1s",
  });
  const headers = flags.repeated({
    flag: "--rpc-header <name: value>",
    description: "metadata to send",
    parse: rpcHeader,
  });
  const userAgent = flags.value({
    flag: "--user-agent <text>",
    description: "the user agent to send",
    parse: text,
    fallback: "tokenwire_probe",
  });

  const verbose = flags.onOff("-v, --verbose", "print the reason, where the server gives one, and times");

  flags.group("Watching");
  const watch = flags.onOff("--watch", "print each change until interrupted");
  const until = flags.optional({
    flag: "--until <status>",
    description: "watch until it is serving or not-serving",
    parse: oneOf(["serving", "not-serving"]),
  });
  const timeoutMs = flags.optional({
    flag: "--timeout <duration>",
    description: "how long to watch (default: no end)",
    parse: duration,
  });

  flags.group("TLS");
  const tls = flags.onOff("--tls", "connect with TLS");
  const noVerify = flags.onOff("--tls-no-verify", "take any server certificate (insecure)");
  const caCert = flags.optional({
    flag: "--tls-ca-cert <file>",
    description: "authorities to trust, PEM",
    parse: text,
  });
  const clientCert = flags.optional({
    flag: "--tls-client-cert <file>",
    description: "own certificate, PEM",
    parse: text,
  });
  const clientKey = flags.optional({ flag: "--tls-client-key <file>", description: "its key, PEM", parse: text });
  const serverName = flags.optional({
    flag: "--tls-server-name <name>",
    description: "the name that the server's certificate must have",
    parse: text,
  });

  return (environment) => ({
    ...address(environment),
    service: service(environment) ?? "",
    connectTimeoutMs: connectTimeoutMs(environment),
    rpcTimeoutMs: rpcTimeoutMs(environment),
    userAgent: userAgent(environment),
    headers: headers(environment),
    verbose: verbose(environment),
    watch: readWatch({ watch: watch(environment), until: until(environment), timeoutMs: timeoutMs(environment) }),
    tls: readTls({
      tls: tls(environment),
      noVerify: noVerify(environment),
      caCert: caCert(environment),
      clientCert: clientCert(environment),
      clientKey: clientKey(environment),
      serverName: serverName(environment),
    }),
  });
}

interface WatchFlags {
  readonly watch: boolean;
  readonly until: "serving" | "not-serving" | undefined;
  readonly timeoutMs: number | undefined;
}

function readWatch({ watch, until, timeoutMs }: WatchFlags): ProbeWatch | undefined {
  if (!watch) {
    if (until !== undefined) throw new UsageError("--until needs --watch.");
    if (timeoutMs !== undefined) throw new UsageError("--timeout needs --watch.");
    return undefined;
  }
  switch (until) {
    case undefined:
      return { until: undefined, timeoutMs };
    case "serving":
      return { until: "SERVING", timeoutMs };
    case "not-serving":
      return { until: "NOT_SERVING", timeoutMs };
  }
}

interface TlsFlags {
  readonly tls: boolean;
  readonly noVerify: boolean;
  readonly caCert: string | undefined;
  readonly clientCert: string | undefined;
  readonly clientKey: string | undefined;
  readonly serverName: string | undefined;
}

function readTls(flags: TlsFlags): ProbeTls | undefined {
  const { tls, noVerify, caCert, clientCert, clientKey, serverName } = flags;
  if (!tls) {
    const orphan = [
      ["--tls-no-verify", noVerify],
      ["--tls-ca-cert", caCert !== undefined],
      ["--tls-client-cert", clientCert !== undefined],
      ["--tls-client-key", clientKey !== undefined],
      ["--tls-server-name", serverName !== undefined],
    ].find(([, given]) => given);
    if (orphan !== undefined) throw new UsageError(`${orphan[0]} needs --tls.`);
    return undefined;
  }
  if (noVerify && caCert !== undefined) {
    throw new UsageError("--tls-no-verify and --tls-ca-cert exclude each other: the authorities would not be used.");
  }
  if (noVerify && serverName !== undefined) {
    throw new UsageError("--tls-no-verify and --tls-server-name exclude each other: the name would not be checked.");
  }
  if (clientCert === undefined && clientKey === undefined) {
    return { caCertPath: caCert, client: undefined, verify: !noVerify, serverName };
  }
  if (clientCert === undefined) throw new UsageError("--tls-client-key needs --tls-client-cert.");
  if (clientKey === undefined) throw new UsageError("--tls-client-cert needs --tls-client-key.");
  return {
    caCertPath: caCert,
    client: { certPath: clientCert, keyPath: clientKey },
    verify: !noVerify,
    serverName,
  };
}

/** `name: value`. Names are lower-cased; connection headers and binary metadata (`-bin`) are refused. */
const rpcHeader: ValueParser<RpcHeader> = (source, given) => {
  const match = /^([0-9a-zA-Z_.-]+):[ \t]*([\x20-\x7e]*)$/.exec(given);
  const name = match?.[1]?.toLowerCase() ?? "";
  if (match === null || name.endsWith("-bin") || name.startsWith("grpc-") || forbiddenHeaders.has(name)) {
    throw new UsageError(
      `${source} must be "name: value" with ASCII metadata, not ${JSON.stringify(given.slice(0, 80))}.`,
    );
  }
  return { name, value: (match[2] ?? "").trimEnd() };
};

// RFC 9113, section 8.2.2, and what the client sets itself.
const forbiddenHeaders: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "host",
  "te",
  "content-type",
  "content-length",
  "user-agent",
]);
