import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeCertificate } from "../harness/certificate.ts";
import { seeded } from "../harness/seeded.ts";
import { ChurningConnection, callAtRandom, type Door, openCalls } from "./churning-client.ts";
import type { Report } from "./counting-server.ts";
import { type CountingServer, startCountingServer } from "./running-server.ts";

/**
 * `CHURN=full` makes a million calls over a hundred thousand connections, in some minutes. A run is repeated with
 * `CHURN_SEED`; what it does is then the same but for the order in which connections get their turns.
 */
const size =
  process.env.CHURN === "full" ? { calls: 1_000_000, connections: 100_000 } : { calls: 50_000, connections: 5_000 };
const seed = Number(process.env.CHURN_SEED ?? Math.floor(Math.random() * 1_000_000));
const quarters = 4;
/** Connections at a time, and calls of one at a time. */
const lanes = 24;
const callsAtOnce = 4;
/** What a call may take before it counts as hung: far more than the slowest machine needs. */
const hungAfterMs = 60_000;

const folder = mkdtempSync(join(tmpdir(), "tokenwire-churn-"));
const certificate = makeCertificate();
let server: CountingServer;
let doors: readonly Door[];
before(async () => {
  const paths = ["a", "b", "c"].map((name) => join(folder, name));
  const tlsPath = join(folder, "d.tls");
  server = await startCountingServer("--tls", certificate.cert, certificate.key, ...paths, tlsPath);
  const tls: Door = { t: "tls", path: tlsPath, ca: readFileSync(certificate.cert) };
  const plain: Door[] = paths.flatMap((path) => Array<Door>(6).fill({ t: "socket", path }));
  // Few over TCP, because each leaves its port waiting for a minute.
  doors = [...plain, { t: "tcp", port: server.port }, tls];
});
after(() => {
  server?.stop();
  certificate.remove();
  rmSync(folder, { recursive: true, force: true });
});

interface Tally {
  connections: number;
  calls: number;
  settled: number;
  broken: number;
  readonly wrong: string[];
}

const name = `${size.calls} calls over ${size.connections} connections all settle, and leave nothing with the server`;
test(name, { timeout: 3_600_000 }, async (t) => {
  const tally: Tally = { connections: 0, calls: 0, settled: 0, broken: 0, wrong: [] };
  t.diagnostic(`seed ${seed}`);
  const reports: Report[] = [];
  for (let quarter = 1; quarter <= quarters; quarter += 1) {
    await Promise.all(Array.from({ length: lanes }, () => lane((size.connections * quarter) / quarters, tally)));
    const report = await server.until(
      ({ activeCalls, connections, begun, returned }) => activeCalls + connections === 0 && begun === returned,
      "the server still holds something",
    );
    reports.push(report);
    const heap = `heap ${mebibytes(report.heapBytes)} MiB, resident ${mebibytes(report.residentBytes)} MiB`;
    const settled = `${tally.settled} of ${tally.calls} calls settled, ${tally.connections} connections`;
    t.diagnostic(`${quarter * 25} %: ${settled}, ${tally.broken} of them broken off; ${heap}`);
  }
  assert.deepEqual(tally.wrong.slice(0, 10), []);
  assert.ok(tally.calls >= size.calls, `${tally.calls} calls`);
  assert.equal(tally.settled, tally.calls);
  assert.equal(tally.connections, size.connections);

  const [, middle, third, last] = reports;
  assert.ok(middle !== undefined && third !== undefined && last !== undefined);
  assert.deepEqual(last.failures, []);
  assert.ok(last.resources <= middle.resources, `${last.resources} resources, ${middle.resources} in the middle`);
  // The smaller one, because in the middle of a short run code is not yet settled.
  const growth = last.heapBytes / Math.min(middle.heapBytes, third.heapBytes);
  assert.ok(growth < 1.06, `the heap is ${growth} times what it was before`);
});

/** Makes one connection after the other until there were so many. */
async function lane(untilConnections: number, tally: Tally): Promise<void> {
  while (tally.connections < untilConnections && tally.wrong.length < 100) {
    tally.connections += 1;
    const random = seeded(seed * 1_000_003 + tally.connections);
    const door = doors[Math.floor(random() * doors.length)] as Door;
    const connection = new ChurningConnection(door, random() < 0.2 ? 100 : 65_535);
    await notHung(use(connection, random, tally), `a connection (${door.t}) or a call of it hung`, tally);
  }
}

async function use(connection: ChurningConnection, random: () => number, tally: Tally): Promise<void> {
  // A little more on average than the whole asks for of one connection.
  let left = 1 + Math.floor(random() * ((2 * size.calls) / size.connections));
  const caller = async () => {
    while (left > 0) {
      left -= 1;
      tally.calls += 1;
      const problem = await callAtRandom(connection, random);
      tally.settled += 1;
      if (problem !== undefined) tally.wrong.push(problem);
    }
  };
  await Promise.all(Array.from({ length: callsAtOnce }, caller));
  if (random() < 0.75) return connection.leave();
  tally.broken += 1;
  const { calls, ended } = await openCalls(connection, random);
  tally.calls += calls;
  await connection.break(random() < 0.5);
  await ended();
  tally.settled += calls;
}

async function notHung(work: Promise<void>, what: string, tally: Tally): Promise<void> {
  const limit = Promise.withResolvers<string>();
  const timer = setTimeout(() => limit.resolve(what), hungAfterMs);
  const hung = await Promise.race([work, limit.promise]);
  clearTimeout(timer);
  if (hung !== undefined) tally.wrong.push(hung);
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(1);
}
