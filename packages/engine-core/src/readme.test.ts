import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { MockEngineCore } from "./testing/index.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const examples = readme
  .split("\n```ts\n")
  .slice(1)
  .map((rest) => `${rest.split("\n```\n", 1)[0]}\n`);

const folder = mkdtempSync(join(tmpdir(), "tokenwire-engine-core-readme-"));
// What the examples import is found as a user's program would find it: by name.
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
after(() => rmSync(folder, { recursive: true }));

suite("the README", () => {
  test("has examples that compile with the options of this repository", () => {
    const files = examples.map((code, index) => {
      // Each is a module, so that their names do not meet.
      writeFileSync(join(folder, `example-${index}.ts`), `${code}\nexport {};\n`);
      return `example-${index}.ts`;
    });
    const compilerOptions = { noEmit: true, composite: false, incremental: false, allowImportingTsExtensions: true };
    const config = { extends: join(root, "tsconfig.base.json"), compilerOptions, files };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    try {
      execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", folder], { stdio: "pipe" });
    } catch (thrown) {
      assert.fail(thrown instanceof Error && "stdout" in thrown ? String(thrown.stdout) : String(thrown));
    }
  });

  test("has an example that prints what an engine generates, and ends", async () => {
    const port = await freePort();
    const [code = ""] = examples;
    const file = join(folder, "generate.ts");
    writeFileSync(file, code.replace("29550", String(port)));
    const client = spawn(process.execPath, ["--conditions=tokenwire-source", file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(client, "close");
    const engine = await MockEngineCore.start({
      handshakeAddress: `tcp://127.0.0.1:${port}`,
      tokenAt: (_request, position) => 100 + position,
    });
    const written = await text(client.stdout);
    engine.close();
    assert.deepEqual(await ended, [0, null]);
    const lines = Array.from({ length: 8 }, (_, at) => `example-1 ${100 + at} ${at === 7 ? "length" : "goes on"}\n`);
    assert.equal(written, lines.join(""));
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  server.close();
  await once(server, "close");
  return address.port;
}
