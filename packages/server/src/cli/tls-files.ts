import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { TlsCredentials } from "@tokenwire/grpc";
import type { Log } from "../operations/log.ts";
import type { ServeTls } from "./configuration.ts";
import { UsageError } from "./usage-error.ts";

/** Mounted secrets are changed by exchanging a link, which file events miss; three small files are read again instead. */
const lookEveryMs = 10_000;

/**
 * Reads the PEM files and checks that they are certificates and that the key belongs to the first of them. Throws a
 * UsageError that names the flag and the file.
 */
export function readTlsFiles({ certPath, keyPath, clientCaPath }: ServeTls): TlsCredentials {
  const cert = read("--tls-cert", certPath);
  const key = read("--tls-key", keyPath);
  const certificate = checked("--tls-cert", certPath, "certificate", () => new X509Certificate(cert));
  const privateKey = checked("--tls-key", keyPath, "private key without a passphrase", () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new UsageError(`--tls-key: ${keyPath} is not the key of the certificate in ${certPath}.`);
  }
  if (clientCaPath === undefined) return { cert, key };
  const ca = read("--tls-client-ca", clientCaPath);
  checked("--tls-client-ca", clientCaPath, "certificate", () => new X509Certificate(ca));
  return { cert, key, ca };
}

/**
 * Hands on the files' content when it has changed and is good; what is not good is logged once, and the old content
 * stays in use. Answers how to stop.
 */
export function watchTlsFiles(
  paths: ServeTls | undefined,
  first: TlsCredentials | undefined,
  use: (credentials: TlsCredentials) => void,
  log: Log,
  everyMs: number = lookEveryMs,
): () => void {
  if (paths === undefined || first === undefined) return () => undefined;
  let inUse = first;
  let lastProblem = "";
  const look = (): void => {
    try {
      const found = readTlsFiles(paths);
      lastProblem = "";
      if (found.cert === inUse.cert && found.key === inUse.key && found.ca === inUse.ca) return;
      use(found);
      inUse = found;
      log.info({ reason: "tls-reloaded" }, "new connections get the new certificate");
    } catch (thrown) {
      const problem = thrown instanceof Error ? thrown.message : String(thrown);
      if (problem === lastProblem) return;
      lastProblem = problem;
      log.error({ reason: "tls-not-reloaded" }, `the certificate in use stays: ${problem}`);
    }
  };
  const timer = setInterval(look, everyMs).unref();
  return () => clearInterval(timer);
}

function read(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    throw new UsageError(`${flag}: ${path} cannot be read: ${thrown instanceof Error ? thrown.message : thrown}.`);
  }
}

function checked<T>(flag: string, path: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new UsageError(`${flag}: ${path} is no PEM file with a ${what}.`);
  }
}
