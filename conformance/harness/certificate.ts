import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Paths of PEM files, good for `localhost` and 127.0.0.1 for two days. The certificate is its own root. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Removes the files. */
  remove(): void;
}

/** Makes a certificate with openssl in a folder of its own. */
export function makeCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "tokenwire-certificate-"));
  const cert = join(folder, "cert.pem");
  const key = join(folder, "key.pem");
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const files = ["-keyout", key, "-out", cert, "-days", "2"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  execFileSync("openssl", ["req", "-x509", ...curve, ...files, ...subject], { stdio: "ignore" });
  return { cert, key, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
