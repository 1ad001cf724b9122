import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { root } from "../harness/server.ts";

const document = join(root, "docs", "compared.md");
const rows = readFileSync(document, "utf8")
  .split("\n")
  .filter((line) => /^\| .*\.ts\) \|$/.test(line) || /^\| (Python|Rust), /.test(line));

test("every weak point in docs/compared.md names tests that exist", () => {
  assert.ok(rows.length >= 25, `${rows.length} weak points`);
  for (const row of rows) {
    const named = [...row.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)];
    assert.ok(named.length > 0, `no test is named in: ${row}`);
    for (const [, name = "", path = ""] of named) {
      const source = readFileSync(join(dirname(document), path), "utf8");
      const isThere = source.includes(`("${name}"`) || source.includes(`${name}\``) || source.includes(`(\`${name}`);
      assert.ok(isThere, `${path} has no test "${name}"`);
    }
  }
});

test("every weak point in docs/compared.md says whose it is and whether it was measured or read", () => {
  for (const row of rows) assert.match(row.split("|")[1] ?? "", /^ (Python|Rust), \*[mr]\*: /);
});
