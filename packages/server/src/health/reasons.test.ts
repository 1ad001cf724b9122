import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { healthReasons } from "./reasons.ts";

test("docs/health-model.md lists every reason word with its meaning, and no other", () => {
  const document = new URL("../../../../docs/health-model.md", import.meta.url);
  const [, afterHeading = ""] = readFileSync(document, "utf8").split("\n## Reasons\n");
  const [section = ""] = afterHeading.split("\n## ");
  const rows = [...section.matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gm)].map(([, word, meaning]) => [word, meaning]);
  assert.deepEqual(Object.fromEntries(rows), healthReasons);
  assert.equal(rows.length, Object.keys(healthReasons).length);
});
