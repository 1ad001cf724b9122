import assert from "node:assert/strict";
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { addHealthService } from "./adapters/grpc-js.ts";
import { probe } from "./probe/probe.ts";
import { StatusTable } from "./status-table.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const examples = readme.split("\n## ").flatMap((chapter) => {
  const [title = ""] = chapter.split("\n", 1);
  return chapter
    .split("\n```ts\n")
    .slice(1)
    .map((rest) => ({ title, code: `${rest.split("\n```\n", 1)[0]}\n` }));
});

const folder = mkdtempSync(join(tmpdir(), "tokenwire-health-readme-"));
// What the examples import is found as a user's program would find it: by name.
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
after(() => rmSync(folder, { recursive: true }));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  server.close();
  await once(server, "close");
  return address.port;
}

function run(title: string, code: string, port: number): ChildProcessByStdio<null, Readable, Readable> {
  const file = join(folder, `${title}-${port}.ts`.replaceAll(/[^\w.-]/g, "-"));
  writeFileSync(file, code.replaceAll("50051", String(port)));
  return spawn(process.execPath, ["--conditions=tokenwire-source", file], { stdio: ["ignore", "pipe", "pipe"] });
}

async function finished(
  child: ChildProcessByStdio<null, Readable, Readable>,
): Promise<[number | null, string, string]> {
  const written = { out: "", error: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    written.error += text;
  });
  const [exitCode] = await once(child, "close");
  return [exitCode, written.out, written.error];
}

async function untilServing(port: number, child: ChildProcessByStdio<null, Readable, Readable>): Promise<void> {
  while (child.exitCode === null) {
    const result = await probe({ host: "127.0.0.1", port });
    if (result.t === "status" && result.status === "SERVING") return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

suite("the README", () => {
  test("every example compiles with the options of this repository", () => {
    for (const { title, code } of examples) {
      // Each is a module, so that their names do not meet.
      writeFileSync(join(folder, `${title.replaceAll(/[^\w]/g, "-")}.ts`), `${code}\nexport {};\n`);
    }
    const files = examples.map(({ title }) => `${title.replaceAll(/[^\w]/g, "-")}.ts`);
    const compilerOptions = {
      noEmit: true,
      composite: false,
      incremental: false,
      allowImportingTsExtensions: true,
    };
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ extends: join(root, "tsconfig.base.json"), compilerOptions, files }),
    );
    try {
      execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", folder], { stdio: "pipe" });
    } catch (error) {
      assert.fail(error instanceof Error && "stdout" in error ? String(error.stdout) : String(error));
    }
  });

  for (const { title, code } of examples.filter((example) => example.code.includes("SIGTERM"))) {
    test(`the server under "${title}" turns SERVING and stops with exit code 0 at SIGTERM`, async () => {
      const port = await freePort();
      const child = run(title, code, port);
      const end = finished(child);
      await untilServing(port, child);
      child.kill("SIGTERM");
      assert.deepEqual(await end, [0, "", ""]);
    });
  }

  test('the client under "Asking a server" prints what it hears', async (t) => {
    const table = new StatusTable();
    table.set("my.package.Service", "SERVING");
    const server = new Server();
    addHealthService(server, table, { annotate: () => ({ "x-reason": "up" }) });
    const port = await new Promise<number>((resolve) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, bound) => resolve(bound));
    });
    t.after(() => server.forceShutdown());
    const example = examples.find(({ title }) => title === "Asking a server");
    assert.ok(example);
    const [exitCode, out, error] = await finished(run(example.title, example.code, port));
    assert.match(out, /^SERVING \{ 'x-reason': 'up'[^}]*\} \S+ \S+\nSERVING\nstopped\n$/);
    assert.deepEqual([exitCode, error], [0, ""]);
  });

  test("has an example for each adapter and for the client", () => {
    assert.deepEqual(
      examples.map(({ title }) => title),
      ["grpc-js", "nice-grpc", "Connect", "Asking a server"],
    );
  });
});
