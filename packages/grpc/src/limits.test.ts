import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { defaultLimits, limitsOf } from "./limits.ts";

const root = join(import.meta.dirname, "../../..");
const security = readFileSync(join(root, "docs/security.md"), "utf8");

const units: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 * 1024, s: 1_000, min: 60_000 };

/** The number that a text like `16 KiB`, `2 min` or `20,000` stands for. */
function numberOf(text: string): number {
  const [, digits = "", unit] = /^([\d,.]+)(?: (KiB|MiB|s|min))?$/.exec(text) ?? [];
  return Number(digits.replaceAll(",", "")) * (unit === undefined ? 1 : (units[unit] ?? Number.NaN));
}

describe("the page about hostile clients", () => {
  it("names limits that there are, with their defaults", () => {
    const named = [...security.matchAll(/`(\w+)` \(([\d,.]+(?: \w+)?)\)/g)];
    assert.ok(named.length > 20, `${named.length} limits are named`);
    for (const [whole, name = "", text = ""] of named) {
      assert.ok(Object.hasOwn(defaultLimits, name), `there is no limit ${name}`);
      assert.equal(numberOf(text), defaultLimits[name as keyof typeof defaultLimits], whole);
    }
  });

  it("names tests that there are", () => {
    const tests = [...security.matchAll(/\| ([\w/-]+\.test\.ts) \|/g)].map(([, path = ""]) => path);
    assert.ok(tests.length > 15, `${tests.length} tests are named`);
    for (const path of tests) assert.ok(existsSync(join(import.meta.dirname, path)), path);
  });
});

describe("limits", () => {
  it("are the defaults but for those that are given", () => {
    assert.deepEqual(limitsOf({ maxConnections: 7 }), { ...defaultLimits, maxConnections: 7 });
  });

  it("are refused by name when they are no such number", () => {
    assert.throws(() => limitsOf({ maxConnections: 0 }), /maxConnections is 0/);
    assert.throws(() => limitsOf({ maxHeaderListBytes: 1.5 }), /maxHeaderListBytes is 1.5; it must be a whole number/);
    assert.throws(() => limitsOf({ maxWindowBytes: 2 ** 31 }), /a window has at most 2147483647/);
    assert.throws(() => limitsOf({ headerTimeoutMs: Number.NaN }), /headerTimeoutMs is NaN/);
  });
});
