import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Engine } from "../../engine/engine.ts";
import type { EngineProfiler } from "../../engine/profiler.ts";
import { createMockEngine } from "../../engines/mock/mock-engine.ts";
import { type ProfileResponse, StartProfileRequest } from "../../generated/common.ts";
import type { VllmEngineContext } from "./context.ts";
import { ManualWait } from "./testing/manual-wait.ts";
import { isStatus, type ServiceUnderTest, serviceOver, serviceUnderTest } from "./testing/service-under-test.ts";

/** A profiler that notes what it is told, and fails when a test says so. */
class NotedProfiler implements EngineProfiler {
  readonly takesPath: boolean;
  readonly told: string[] = [];
  failure: Error | undefined;

  constructor(takesPath: boolean) {
    this.takesPath = takesPath;
  }

  async start(path: string | undefined): Promise<void> {
    this.told.push(`start ${path ?? "-"}`);
    if (this.failure !== undefined) throw this.failure;
  }

  async stop(): Promise<void> {
    this.told.push("stop");
  }
}

async function engineWith(profiler: EngineProfiler): Promise<Engine> {
  const engine = createMockEngine({});
  await engine.start();
  return new Proxy(engine, {
    get(target, name) {
      if (name === "profiler") return profiler;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("StartProfile and StopProfile", () => {
  let folder: string;
  let profiler: NotedProfiler;
  let engine: Engine;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "tokenwire-profiles-"));
    profiler = new NotedProfiler(true);
    engine = await engineWith(profiler);
  });
  afterEach(async () => {
    await engine.close(0);
    rmSync(folder, { recursive: true, force: true });
  });

  const over = (changes: Partial<VllmEngineContext> = {}) => serviceOver(engine, { profileDir: folder, ...changes });
  const start = (service: Pick<ServiceUnderTest, "call">, changes: Partial<StartProfileRequest> = {}) =>
    service.call<ProfileResponse>("StartProfile", { ...StartProfileRequest.create(), ...changes });
  const stop = (service: Pick<ServiceUnderTest, "call">) => service.call<ProfileResponse>("StopProfile", {});

  it("writes the server's profile and names the engine's file beside it", async () => {
    const service = over();
    const begun = await start(service, { outputDir: "runs/one", activities: ["CPU"], withStack: true });
    assert.equal(begun.success, true);
    const ended = await stop(service);
    assert.equal(ended.success, true);
    const [file] = readdirSync(join(folder, "runs", "one"));
    assert.match(file ?? "", /^server-1970-01-01T001640\.000Z-\d+-1\.cpuprofile$/);
    assert.ok(ended.message.includes(file ?? "-"), ended.message);
    assert.ok(Array.isArray(JSON.parse(readFileSync(join(folder, "runs", "one", file ?? ""), "utf8")).nodes));
    const engineFile = join(folder, "runs", "one", (file ?? "").replace("server-", "engine-"));
    assert.deepEqual(profiler.told, [`start ${engineFile}`, "stop"]);
  });

  it("refuses a second start, and a stop without a start", async () => {
    const service = over();
    await assert.rejects(stop(service), isStatus("FAILED_PRECONDITION", "no profile is being taken"));
    await start(service);
    await assert.rejects(start(service), isStatus("FAILED_PRECONDITION", "a profile is being taken already"));
    await stop(service);
    await assert.rejects(stop(service), isStatus("FAILED_PRECONDITION", "no profile is being taken"));
  });

  it("writes nowhere without --profile-dir", () =>
    assert.rejects(start(over({ profileDir: undefined })), isStatus("FAILED_PRECONDITION", "--profile-dir")));

  for (const outputDir of ["/etc", "..", "a/../../b", "a\0b", "a".repeat(256), "link/inside", "link"]) {
    it(`does not leave the folder for ${JSON.stringify(outputDir.slice(0, 20))}`, async () => {
      const outside = mkdtempSync(join(tmpdir(), "tokenwire-outside-"));
      symlinkSync(outside, join(folder, "link"));
      await assert.rejects(start(over(), { outputDir }), isStatus("INVALID_ARGUMENT", "output_dir: not allowed"));
      assert.deepEqual(readdirSync(outside), []);
      assert.deepEqual(profiler.told, []);
      rmSync(outside, { recursive: true, force: true });
    });
  }

  const refused: readonly [string, Partial<StartProfileRequest>][] = [
    ["start_step", { startStep: 1 }],
    ["num_steps", { numSteps: 10 }],
    ["activities", { activities: ["CPU", "GPU"] }],
    ["with_stack", { withStack: false }],
    ["record_shapes", { recordShapes: true }],
    ["profile_by_stage", { profileByStage: true }],
  ];
  for (const [field, changes] of refused) {
    it(`refuses ${field}, which a CPU profile does not have`, async () => {
      await assert.rejects(start(over(), changes), isStatus("INVALID_ARGUMENT", `${field}: not taken`));
      assert.deepEqual(profiler.told, []);
    });
  }

  it("hands on to an engine that was set up at its launch, and then takes no option", async () => {
    profiler = new NotedProfiler(false);
    await engine.close(0);
    engine = await engineWith(profiler);
    const service = over({ profileDir: undefined });
    for (const [field, changes] of [["output_dir", { outputDir: "x" }] as const, ...refused]) {
      await assert.rejects(start(service, changes), isStatus("INVALID_ARGUMENT", `${field}: not taken`));
    }
    await start(service);
    await stop(service);
    assert.deepEqual(profiler.told, ["start -", "stop"]);
  });

  it("leaves nothing recording when the engine cannot start, and may be tried again", async () => {
    const service = over();
    profiler.failure = new Error("as the test says");
    await assert.rejects(start(service), isStatus("INTERNAL"));
    profiler.failure = undefined;
    await start(service);
    await stop(service);
  });

  it("ends a profile that nobody stops after 5 minutes", async () => {
    const time = new ManualWait();
    const service = over(time);
    await start(service);
    await time.until(1);
    const ended = new Promise<void>((resolve) => {
      profiler.stop = async () => resolve();
    });
    time.advance(300_000);
    await ended;
    await assert.rejects(stop(service), isStatus("FAILED_PRECONDITION"));
    assert.ok(existsSync(folder));
  });

  it("is UNIMPLEMENTED for an engine without a profiler and UNAVAILABLE before it is ready", async () => {
    const without = await serviceUnderTest();
    await assert.rejects(start(without), isStatus("UNIMPLEMENTED", "no profiler"));
    await assert.rejects(stop(without), isStatus("UNIMPLEMENTED", "no profiler"));
    await without.engine.close(0);
    await assert.rejects(start(serviceOver(createMockEngine({}))), isStatus("UNAVAILABLE", "starting"));
  });
});
