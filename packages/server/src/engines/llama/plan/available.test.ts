import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { availableCores } from "./available-cores.ts";
import { availableMemoryBytes } from "./available-memory.ts";
import type { ReadText } from "./cgroup.ts";

const machine =
  (files: Readonly<Record<string, string>>): ReadText =>
  (path) =>
    files[path];

describe("availableCores", () => {
  it("is what the scheduler allows when no group sets a quota", () => {
    assert.equal(availableCores(machine({}), 6), 6);
    assert.equal(
      availableCores(machine({ "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n" }), 6),
      6,
    );
  });

  it("stays below the quota of cgroup v2, and is never less than 1", () => {
    const quota = (max: string): ReadText => machine({ "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": max });
    assert.equal(availableCores(quota("250000 100000\n"), 8), 2);
    assert.equal(availableCores(quota("50000 100000\n"), 8), 1);
    assert.equal(availableCores(quota("1600000 100000\n"), 8), 8);
  });

  it("takes the smallest quota on the way to the root", () => {
    const read = machine({
      "/proc/self/cgroup": "0::/pod.slice/container.scope\n",
      "/sys/fs/cgroup/pod.slice/container.scope/cpu.max": "max 100000\n",
      "/sys/fs/cgroup/pod.slice/cpu.max": "300000 100000\n",
    });
    assert.equal(availableCores(read, 8), 3);
  });

  it("reads the quota of cgroup v1, whose -1 means none", () => {
    const v1 = (quota: string): ReadText =>
      machine({
        "/proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": quota,
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
      });
    assert.equal(availableCores(v1("200000\n"), 8), 2);
    assert.equal(availableCores(v1("-1\n"), 8), 8);
  });

  it("is a whole number on this machine", () => {
    const cores = availableCores();
    assert.ok(Number.isInteger(cores) && cores >= 1);
  });
});

describe("availableMemoryBytes", () => {
  it("is what the machine has left when no group sets a limit", () => {
    const read = machine({ "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n" });
    assert.equal(availableMemoryBytes(read, 1_000), 1_000);
  });

  it("is what the limit of cgroup v2 leaves, with droppable file cache", () => {
    const read = machine({
      "/proc/self/cgroup": "0::/\n",
      "/sys/fs/cgroup/memory.max": "1000\n",
      "/sys/fs/cgroup/memory.current": "800\n",
      "/sys/fs/cgroup/memory.stat": "anon 500\ninactive_file 200\nactive_file 100\n",
    });
    assert.equal(availableMemoryBytes(read, 10_000), 400);
    assert.equal(availableMemoryBytes(read, 300), 300);
  });

  it("is what the limit of cgroup v1 leaves", () => {
    const read = machine({
      "/proc/self/cgroup": "5:memory:/docker/abc\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n",
      "/sys/fs/cgroup/memory/memory.usage_in_bytes": "900\n",
    });
    assert.equal(availableMemoryBytes(read, 10_000), 100);
  });

  it("is not negative above a limit", () => {
    const read = machine({
      "/proc/self/cgroup": "0::/\n",
      "/sys/fs/cgroup/memory.max": "1000\n",
      "/sys/fs/cgroup/memory.current": "1200\n",
    });
    assert.equal(availableMemoryBytes(read, 10_000), 0);
  });

  it("is positive on this machine", () => {
    assert.ok(availableMemoryBytes() > 0);
  });
});
