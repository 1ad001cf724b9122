import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { CpuProfiler } from "./cpu-profiler.ts";

describe("CpuProfiler", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tokenwire-profile-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("writes a profile that only its owner reads", async () => {
    const path = join(folder, "a.cpuprofile");
    const profiler = new CpuProfiler();
    await profiler.start(path);
    assert.equal(profiler.isRunning, true);
    await profiler.stop();
    assert.equal(profiler.isRunning, false);
    const profile = JSON.parse(readFileSync(path, "utf8"));
    assert.ok(Array.isArray(profile.nodes) && profile.endTime >= profile.startTime);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it("takes one at a time, and another after the first", async () => {
    const profiler = new CpuProfiler();
    await profiler.start(join(folder, "b.cpuprofile"));
    await assert.rejects(profiler.start(join(folder, "c.cpuprofile")), /being taken already/);
    await profiler.stop();
    await assert.rejects(profiler.stop(), /no profile is being taken/);
    await profiler.start(join(folder, "c.cpuprofile"));
    await profiler.stop();
  });

  it("overwrites nothing, and can begin again after that", async () => {
    const path = join(folder, "d.cpuprofile");
    writeFileSync(path, "somebody's");
    const profiler = new CpuProfiler();
    await profiler.start(path);
    await assert.rejects(profiler.stop(), /EEXIST/);
    assert.equal(readFileSync(path, "utf8"), "somebody's");
    assert.equal(profiler.isRunning, false);
  });
});
