import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate with its key as PEM, and the files that hold them. */
export interface SelfSigned {
  readonly cert: string;
  readonly key: string;
  readonly certPath: string;
  readonly keyPath: string;
  remove(): void;
}

/** Makes a certificate for 127.0.0.1 that is its own root, with the openssl command: no key is kept in the repository. */
export function selfSigned(): SelfSigned {
  const folder = mkdtempSync(join(tmpdir(), "tokenwire-tls-"));
  const [certPath, keyPath] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=tls.test";
  const names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  execFileSync("openssl", [...request.split(" "), ...names, "-out", certPath, "-keyout", keyPath], { stdio: "pipe" });
  const [cert, key] = [readFileSync(certPath, "utf8"), readFileSync(keyPath, "utf8")];
  return { cert, key, certPath, keyPath, remove: () => rmSync(folder, { recursive: true }) };
}
