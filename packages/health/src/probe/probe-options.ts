import { assertServiceName } from "../service-name.ts";

/** TLS for a probe. An empty object means: verify against the certificates that Node trusts. */
export interface ProbeTlsOptions {
  /** PEM certificates to trust instead of those that Node trusts. */
  readonly ca?: string | Uint8Array;
  /** PEM client certificate and key, for servers that ask for one. Both or neither. */
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  /** Name to verify and to send as server name and `:authority`, where it differs from the host. */
  readonly serverName?: string;
  /** Accepts any certificate. Default false. */
  readonly insecureSkipVerify?: boolean;
}

export interface ProbeOptions {
  /** Host name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Name to ask for. Default "", the whole server. At most 1024 bytes. */
  readonly service?: string;
  /** Time to reach a server that speaks HTTP/2, TLS included. 1 to 99,999,999, default 1000. */
  readonly connectTimeoutMs?: number;
  /** Time for the answer once connected, sent as grpc-timeout too. 1 to 99,999,999, default 1000. */
  readonly rpcTimeoutMs?: number;
  /** Plaintext HTTP/2 when left out. */
  readonly tls?: ProbeTlsOptions;
  /** Default "tokenwire-probe". */
  readonly userAgent?: string;
  /** Further request headers: lower-case keys, printable ASCII values. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Options with every default filled in. */
export type CheckedProbeOptions = Required<Omit<ProbeOptions, "tls">> & Pick<ProbeOptions, "tls">;

/** grpc-timeout has at most eight digits (grpc/grpc, doc/PROTOCOL-HTTP2.md). */
const maxTimeoutMs = 99_999_999;

/** Throws a RangeError or TypeError that names the option, its value and what is expected. */
export function checkProbeOptions(options: ProbeOptions): CheckedProbeOptions {
  const {
    service = "",
    connectTimeoutMs = 1000,
    rpcTimeoutMs = 1000,
    userAgent = "tokenwire-probe",
    metadata = {},
  } = options;
  if (!/^[^\s/?#@[\]\\]+$/.test(options.host)) {
    throw new TypeError(`host: ${JSON.stringify(options.host)}, expected a host name or an address without brackets`);
  }
  wholeNumber("port", options.port, 65_535);
  wholeNumber("connectTimeoutMs", connectTimeoutMs, maxTimeoutMs);
  wholeNumber("rpcTimeoutMs", rpcTimeoutMs, maxTimeoutMs);
  assertServiceName(service);
  printable("userAgent", userAgent);
  for (const [key, value] of Object.entries(metadata)) {
    if (!/^[0-9a-z_.-]+$/.test(key) || reservedHeaders.has(key) || key.startsWith("grpc-")) {
      throw new TypeError(`metadata: key ${JSON.stringify(key)} is not lower-case ASCII or is reserved`);
    }
    printable(`metadata ${key}`, value);
  }
  const tls = options.tls;
  if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined)) {
    throw new TypeError("tls: cert and key belong together, only one of them is set");
  }
  if (tls?.serverName !== undefined) printable("tls.serverName", tls.serverName);
  const { host, port } = options;
  return { host, port, service, connectTimeoutMs, rpcTimeoutMs, userAgent, metadata, ...(tls && { tls }) };
}

const reservedHeaders: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "content-type",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "user-agent",
]);

function wholeNumber(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new RangeError(`${name}: ${value}, expected a whole number from 1 to ${max}`);
  }
}

function printable(name: string, value: string): void {
  if (!/^[\x20-\x7e]*$/.test(value)) throw new TypeError(`${name}: ${JSON.stringify(value)}, expected printable ASCII`);
}
