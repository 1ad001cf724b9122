import assert from "node:assert/strict";
import { after, test } from "node:test";
import { makeCertificate } from "../harness/certificate.ts";
import { run } from "../harness/processes.ts";
import { h2spec, program } from "../harness/tools.ts";
import { startTransportServer } from "./running-server.ts";

const { cert, key, remove } = makeCertificate();
after(remove);

for (const secure of [false, true]) {
  test(`h2spec finds nothing wrong ${secure ? "over TLS" : "in plaintext"}, strict cases included`, async (t) => {
    const server = await startTransportServer(...(secure ? [cert, key] : []));
    t.after(() => server.stop());
    const args = ["-S", "-h", "127.0.0.1", "-p", String(server.port), "-o", "5"];
    // -k takes a certificate that no root of the machine has signed.
    const { code, stdout, stderr } = await run(program(h2spec), secure ? [...args, "-t", "-k"] : args);
    assert.equal(code, 0, `${stdout.slice(stdout.indexOf("Failures:"))}${stderr}`);
    assert.match(stdout, /146 tests, 146 passed, 0 skipped, 0 failed/);
  });
}
