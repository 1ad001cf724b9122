import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { freePort } from "../harness/free-port.ts";
import { type Ended, run } from "../harness/processes.ts";
import { engineService, type Server, startServer } from "../harness/server.ts";
import { grpcHealthProbe, program } from "../harness/tools.ts";

const probe = (target: string, ...flags: string[]): Promise<Ended> =>
  run(program(grpcHealthProbe), [`-addr=${target}`, ...flags]);

let server: Server;
before(async () => {
  server = await startServer(["--withdrawal-grace", "5"]);
});
after(() => server?.kill());

test("the probe exits 0 for the server as a whole", async () => {
  assert.deepEqual(await outcome(probe(server.target)), { code: 0, says: "status: SERVING" });
});

for (const name of [engineService, "readiness"]) {
  test(`the probe exits 0 for the name ${name}`, async () => {
    assert.deepEqual(await outcome(probe(server.target, `-service=${name}`)), { code: 0, says: "status: SERVING" });
  });
}

test("the probe exits 3 for a name that nobody registered", async () => {
  const { code, stdout, stderr } = await probe(server.target, "-service=no.such.Service");
  assert.equal(code, 3);
  assert.match(stdout + stderr, /NotFound/);
});

test("the probe exits 2 where nothing listens", async () => {
  const { code } = await probe(`127.0.0.1:${await freePort()}`);
  assert.equal(code, 2);
});

test("the probe exits 4 after SIGTERM while the server still serves", async () => {
  server.signal("SIGTERM");
  await server.until("", 2);
  for (const name of ["", engineService, "readiness"]) {
    const { code, stdout, stderr } = await probe(server.target, `-service=${name}`);
    assert.equal(code, 4, `${name}: ${stdout}${stderr}`);
    assert.match(stdout + stderr, /service unhealthy \(responded with "NOT_SERVING"\)/);
  }
  assert.equal(await server.exited(), 0);
  assert.equal((await probe(server.target)).code, 2);
});

async function outcome(probed: Promise<Ended>): Promise<{ code: number | null; says: string }> {
  const { code, stdout, stderr } = await probed;
  return { code, says: (stdout + stderr).trim() };
}
