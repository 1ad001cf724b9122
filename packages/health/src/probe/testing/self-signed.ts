import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Makes a certificate for `probe.test` and its key with the openssl command: no key is kept in the repository. */
export function selfSigned(): { readonly cert: string; readonly key: string } {
  const directory = mkdtempSync(join(tmpdir(), "tokenwire-probe-"));
  try {
    const [certFile, keyFile] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=probe.test";
    const names = ["-addext", "subjectAltName=DNS:probe.test"];
    execFileSync("openssl", [...request.split(" "), ...names, "-out", certFile, "-keyout", keyFile], { stdio: "pipe" });
    return { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
