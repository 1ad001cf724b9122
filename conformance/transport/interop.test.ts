import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { makeCertificate } from "../harness/certificate.ts";
import { run } from "../harness/processes.ts";
import { interopClient, program } from "../harness/tools.ts";
import { type RunningServer, startTransportServer } from "./running-server.ts";

/** All cases that need neither a cloud account nor the ORCA service. */
const cases = [
  // First, because some of the others also pass where nothing listens.
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "special_status_message",
  "custom_metadata",
  "unimplemented_method",
  "unimplemented_service",
  "pick_first_unary",
  "rpc_soak",
  "channel_soak",
];

const { cert, key, remove } = makeCertificate();
after(remove);

describe("the gRPC interop client", () => {
  for (const secure of [false, true]) {
    describe(secure ? "over TLS" : "in plaintext", () => {
      let server: RunningServer;
      before(async () => {
        server = await startTransportServer(...(secure ? [cert, key, "-"] : []));
      });
      after(() => server?.stop());
      const tls = ["-use_tls", "-use_test_ca", "-ca_file", cert, "-server_host_override", "localhost"];
      for (const name of cases) {
        test(`passes ${name}`, async () => {
          const flags = ["-server_host", "127.0.0.1", "-server_port", String(server.port), "-test_case", name];
          const { code, stderr } = await run(program(interopClient), secure ? [...flags, ...tls] : flags);
          assert.equal(code, 0, stderr);
        });
      }
    });
  }
});
