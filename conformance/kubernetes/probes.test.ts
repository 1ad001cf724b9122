import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ended, endGroup, startGroup } from "../harness/processes.ts";
import { checkHealth } from "../harness/raw-call.ts";
import { root } from "../harness/server.ts";
import { type Container, type Model, startContainer } from "./container.ts";
import { Kubelet, type KubeletOptions } from "./kubelet.ts";

// The manifest's periods become a second each, its thresholds stay: readiness turns off after two failures in a row,
// and three failures of liveness restart the container.
const livenessWindowMs = 3000;

const demo: Model = { t: "demo" };

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "tokenwire-kubelet-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

describe("to the kubelet's probes", () => {
  test("a server that starts is started, ready and live", async () => {
    const { kubelet } = await deploy(demo);
    await kubelet.until("started");
    await kubelet.until("ready");
    await waitFor(async () => ((await kubelet.totals()).Liveness?.successful ?? 0) >= 3, "three liveness probes");
    const { Readiness, Liveness } = await kubelet.totals();
    assert.ok((Readiness?.successful ?? 0) > 0);
    assert.equal(Liveness?.failed ?? 0, 0, kubelet.report());
    kubelet.assertNoRestart();
  });

  test("a model that loads for longer than liveness waits keeps the pod unready and is not restarted", async () => {
    const script = mockScript({ start: { delayMs: 4 * livenessWindowMs } });
    const { kubelet } = await deploy(script);
    const started = await kubelet.until("started");
    const refused = await kubelet.until("Unhealthy", { message: /^Readiness probe failed: .*NOT_SERVING/ });
    const ready = await kubelet.until("ready");
    assert.ok(started.atMs < refused.atMs && refused.atMs < ready.atMs, kubelet.report());
    assert.equal((await kubelet.totals()).Liveness?.failed ?? 0, 0, kubelet.report());
    kubelet.assertNoRestart();
  });

  test("the empty name as liveness would restart a server that still loads", async () => {
    const script = mockScript({ start: { delayMs: 60_000 } });
    const { kubelet } = await deploy(script, { services: { liveness: "" } });
    const { probe } = await kubelet.until("restart");
    assert.equal(probe, "liveness");
    assert.equal(kubelet.eventsOf("ready").length, 0);
  });

  test("SIGTERM turns readiness off while requests are still taken, and liveness stays on through the drain", async () => {
    // A stream of some 14 seconds: past the withdrawal of 5 and into the drain by three windows of liveness.
    const script = mockScript({ stepIntervalMs: 200, outputs: ["a drain ends no answer; ".repeat(3).slice(0, 70)] });
    const { kubelet, container } = await deploy(script);
    await kubelet.until("ready");
    const stream = await startStream(container);
    const from = kubelet.mark;
    container.signal("SIGTERM");
    await kubelet.until("not-ready", { from });
    const address = `127.0.0.1:${container.ports.grpc}`;
    assert.equal(await checkHealth(address, ""), 2, "the port is open and says NOT_SERVING");
    assert.ok(await ended(stream.child, 30_000), "the stream ended");
    assert.equal(stream.child.exitCode, 0, `the stream ended whole\n${kubelet.report()}`);
    kubelet.assertNoRestart();
    assert.equal(await container.exited(), 0);
    assert.equal((await kubelet.totals()).Liveness?.failed ?? 0, 0, kubelet.report());
  });

  test("a deleted pod is no longer asked for liveness, and its readiness turns off", async () => {
    const { kubelet, container } = await deploy(demo);
    await kubelet.until("ready");
    kubelet.tell("deleted");
    const from = kubelet.mark;
    container.signal("SIGTERM");
    await kubelet.until("not-ready", { from });
    assert.equal(await container.exited(), 0);
    kubelet.tell("exited");
    kubelet.assertNoRestart();
  });

  test("an engine that was killed is unready until it is loaded again, and the container is not restarted", async () => {
    // Liveness waits for six seconds here: readiness turns off, and the engine is back, within half of that.
    const { kubelet, container } = await deploy(demo, { speed: 5 });
    await kubelet.until("ready");
    const from = kubelet.mark;
    const held = await killAndHoldNext(container);
    await kubelet.until("not-ready", { from });
    process.kill(held, "SIGCONT");
    await kubelet.until("ready", { from });
    kubelet.assertNoRestart();
  });

  test("an engine that was killed may load for longer than liveness waits", async () => {
    const { kubelet, container } = await deploy(demo);
    await kubelet.until("ready");
    const from = kubelet.mark;
    const held = await killAndHoldNext(container);
    await sleep(2 * livenessWindowMs);
    process.kill(held, "SIGCONT");
    await kubelet.until("ready", { from });
    kubelet.assertNoRestart();
  });

  test("a frozen engine is unready, then restarted, and ready again in the new container", async () => {
    const flags = ["--stall-floor", "2", "--hang-timeout", "8", "--withdrawal-grace", "0"];
    const { kubelet, container } = await deploy(demo, {}, flags);
    await kubelet.until("ready");
    const [engine] = container.children();
    assert.ok(engine !== undefined);
    const from = kubelet.mark;
    process.kill(engine, "SIGSTOP");
    const unready = await kubelet.until("not-ready", { from });
    const restart = await kubelet.until("restart", { from });
    assert.ok(unready.atMs < restart.atMs);
    assert.equal(restart.message, "Container tokenwire failed liveness probe, will be restarted");
    assert.match(liveFailure(kubelet), /^Liveness probe failed: service unhealthy \(responded with "NOT_SERVING"\)$/);

    // What the kubelet does now: SIGTERM, and the next container when the process is gone.
    container.signal("SIGTERM");
    await container.exited();
    kubelet.tell("exited");
    const again = await startContainer(demo, flags, container.ports);
    cleanUps.push(again.kill);
    const since = kubelet.mark;
    kubelet.tell("started");
    await kubelet.until("started", { from: since });
    await kubelet.until("ready", { from: since });
    assert.equal(kubelet.eventsOf("restart").length, 1);
  });

  test("a name that nobody registered is a failure with its name in the event", async () => {
    const { kubelet } = await deploy(demo, { services: { readiness: "no.such.Service" } });
    const { message = "" } = await kubelet.until("Unhealthy", { message: /NotFound/ });
    assert.match(
      message,
      /^Readiness probe failed: error: health rpc probe failed: .*code = NotFound.*no\.such\.Service/,
    );
    assert.equal(kubelet.eventsOf("ready").length, 0);
    kubelet.assertNoRestart();
  });

  test("a server that does not start in time is restarted by the startup probe alone", async () => {
    const { kubelet } = await deploy(demo, { services: { startup: "no.such.Service" }, startupFailures: 3 });
    assert.equal((await kubelet.until("restart")).probe, "startup");
    const { Liveness, Readiness } = await kubelet.totals();
    assert.deepEqual([Liveness, Readiness], [undefined, undefined]);
  });
});

/** Starts a container and the probing of it, as the kubelet does: at the same moment. */
async function deploy(
  model: Model,
  options: Omit<KubeletOptions, "container"> = {},
  flags: readonly string[] = [],
): Promise<{ kubelet: Kubelet; container: Container }> {
  const container = await startContainer(model, flags);
  cleanUps.push(container.kill);
  const kubelet = new Kubelet({ container, ...options });
  cleanUps.push(() => kubelet.stop());
  return { kubelet, container };
}

function mockScript(script: Record<string, unknown>): Model {
  const file = join(folder, `script-${Object.keys(script).join("-")}-${process.hrtime.bigint()}.json`);
  writeFileSync(file, JSON.stringify(script));
  return { t: "mock", script: file };
}

/** A client that reads an answer; resolves when the first words came. */
async function startStream(container: Container): Promise<{ child: ReturnType<typeof startGroup> }> {
  const bin = join(root, "packages", "server", "bin", "tokenwire.mjs");
  const address = `127.0.0.1:${container.ports.grpc}`;
  const child = startGroup(process.execPath, [bin, "generate", "--raw", "--addr", address, "Hello"]);
  cleanUps.push(() => endGroup(child.pid ?? 0));
  assert.ok(child.stdout !== null);
  await once(child.stdout, "data");
  child.stdout.resume();
  return { child };
}

/**
 * Kills the engine and stops its replacement, so that its load takes as long as a large model's; resolves with the id of
 * the stopped process. It is stopped when it is a program of its own: a fork that is stopped before stops its parent too.
 */
async function killAndHoldNext(container: Container): Promise<number> {
  const [old] = container.children();
  assert.ok(old !== undefined);
  process.kill(old, "SIGKILL");
  for (const giveUpAtMs = performance.now() + 10_000; performance.now() < giveUpAtMs; ) {
    const next = container.children().find((pid) => pid !== old && commandLine(pid) !== commandLine(container.pid));
    if (next !== undefined) {
      process.kill(next, "SIGSTOP");
      return next;
    }
    await sleep(5);
  }
  throw new Error(`the engine was not started again\n${container.log()}`);
}

function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8");
}

function liveFailure(kubelet: Kubelet): string {
  return kubelet.eventsOf("Unhealthy").find(({ message }) => message?.startsWith("Liveness"))?.message ?? "";
}

async function waitFor(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (const giveUpAtMs = performance.now() + 20_000; performance.now() < giveUpAtMs; ) {
    if (await condition()) return;
    await sleep(200);
  }
  throw new Error(`waited in vain for ${what}`);
}
