import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { callStatus, requestsInFlight } from "../harness/raw-call.ts";
import { engineService, type Server, startServer } from "../harness/server.ts";
import { until } from "./gateway-client.ts";
import { type Gateway, startGateway, workersOf } from "./smg.ts";
import { soak } from "./soak-clients.ts";

/** How long the clients ask. `SOAK_MINUTES=60 npm run conformance -- gateway` is the long form. */
const minutes = Number(process.env.SOAK_MINUTES ?? "0.5");
const seed = Number(process.env.SOAK_SEED ?? Date.now() % 1_000_000);
const clients = 64;
const flags = ["--max-num-seqs", "16", "--disable-log-stats", "--drain-timeout", "20", "--withdrawal-grace", "4"];
/** A gateway that lost a worker needs so long to trust it again. */
const settlingMs = 4_000;
/** What V8 and the allocator keep of 64 clients, and not what a leak of many minutes would be. */
const spareBytes = 64 * 1024 * 1024;

/** What the log may say above "info", because a disturbance caused it. */
const explained = [/^the engine's process ended/, /^the engine died/];

/** Lives all the time; only its engine is killed. */
let steady: Server;
/** Is drained or killed, and started again on its port. */
let changing: Server;
let gateway: Gateway;
const logs: string[] = [];

before(async () => {
  steady = await startServer(flags);
  changing = await startServer(flags);
  // When one worker is gone and all clients press on the other, the default of 3 s makes the gateway leave that one out too.
  const patient = ["--disable-circuit-breaker", "--worker-wedge-secs", "60"];
  gateway = await startGateway([steady.target, changing.target], { flags: patient });
});
after(() => {
  gateway?.stop();
  steady?.kill();
  changing?.kill();
});

test(`${clients} clients for ${minutes} minutes, with restarts: every request settles and nothing stays behind`, {
  timeout: (minutes + 5) * 60_000,
}, async (context) => {
  context.diagnostic(`SOAK_SEED=${seed}`);
  const disturbance = { begun: 0, isOn: false };
  const endsAtMs = performance.now() + minutes * 60_000;
  const left = () => endsAtMs - performance.now();
  const asking = soak({
    ...{ url: gateway.url, clients, seed },
    goesOn: () => left() > 0,
    disturbances: () => ({ ...disturbance }),
  });

  const start = await measured(Math.min(left() / 4, 60_000));
  for (let turn = 0; left() > settlingMs + 10_000 || turn === 0; turn += 1) {
    disturbance.begun += 1;
    disturbance.isOn = true;
    await disturb(turn);
    await until("both workers are ready", bothReady);
    await sleep(settlingMs);
    disturbance.isOn = false;
    await sleep(Math.min(4_000, Math.max(0, left())));
  }
  const tally = await asking;
  context.diagnostic(JSON.stringify(Object.fromEntries(tally.settled)));
  for (const [what, count] of tally.disturbed) context.diagnostic(`${count} times in a disturbance, ${what}`);
  context.diagnostic(`${disturbance.begun} disturbances`);

  assert.deepEqual(tally.wrong.slice(0, 5), [], `${tally.wrong.length} went wrong`);
  for (const server of [steady, changing]) {
    await until("the slots are free", async () => (await requestsInFlight(server.target)) === 0);
    assert.equal(await callStatus(server.target, `/${engineService}/HealthCheck`), 0);
  }
  const end = await measured(2_000);
  context.diagnostic(
    `resident ${start.bytes >> 20} MiB, then ${end.bytes >> 20} MiB; files ${start.files}, ${end.files}`,
  );
  assert.ok(end.bytes < start.bytes * 1.25 + spareBytes, `memory: ${start.bytes} bytes, then ${end.bytes}`);
  assert.ok(end.files <= start.files + 32, `open files: ${start.files}, then ${end.files}`);
  logs.push(steady.log(), changing.log());
  assert.deepEqual(unexplained(), []);
});

/** Four kinds of trouble in turn; the worker is there again when it resolves. */
async function disturb(turn: number): Promise<void> {
  switch (turn % 4) {
    case 0:
      return killEngineOf(steady);
    case 1: {
      changing.signal("SIGTERM");
      assert.equal(await changing.exited(60_000), 0, changing.log());
      return startAgain();
    }
    case 2:
      return killEngineOf(changing);
    default:
      return startAgain();
  }
}

async function killEngineOf(server: Server): Promise<void> {
  const engines = server.children();
  for (const pid of engines) process.kill(pid, "SIGKILL");
  await until("the engine is replaced", () => server.children().some((pid) => !engines.includes(pid)));
  await server.until(engineService, 1);
}

async function startAgain(): Promise<void> {
  changing.kill();
  logs.push(changing.log());
  changing = await startServer([...flags, "--port", String(changing.port)]);
}

async function bothReady(): Promise<boolean> {
  return (await workersOf(gateway.url)).filter(({ status }) => status === "ready").length === 2;
}

/** Resident memory and open files of the worker that lives all the time, after a while. */
async function measured(afterMs: number): Promise<{ bytes: number; files: number }> {
  await sleep(afterMs);
  const status = readFileSync(`/proc/${steady.pid}/status`, "utf8");
  const kibibytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
  return { bytes: kibibytes * 1024, files: readdirSync(`/proc/${steady.pid}/fd`).length };
}

/** Lines of the servers' logs that are no JSON, or above "info" without a disturbance that explains them. */
function unexplained(): string[] {
  const info = 30;
  return logs
    .flatMap((log) => log.split("\n").slice(1))
    .filter((line) => {
      if (line === "") return false;
      try {
        const { level, msg } = JSON.parse(line) as { level: number; msg: string };
        return level > info && !explained.some((pattern) => pattern.test(msg));
      } catch {
        return true;
      }
    });
}
