import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { GreetReply, GreetRequest } from "./testing/greeter.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const examples = readme
  .split("\n```ts\n")
  .slice(1)
  .map((rest) => `${rest.split("\n```\n", 1)[0]}\n`);

const folder = mkdtempSync(join(tmpdir(), "tokenwire-grpc-readme-"));
after(() => rmSync(folder, { recursive: true }));
// What the examples import is found as a user's program would find it: by name.
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
copyFileSync(new URL("testing/greeter.ts", import.meta.url), join(folder, "greeter.ts"));

describe("the README", () => {
  it("has examples that compile with the options of this repository", () => {
    const files = examples.map((code, at) => {
      writeFileSync(join(folder, `example-${at}.ts`), `${code}\nexport {};\n`);
      return `example-${at}.ts`;
    });
    const compilerOptions = { noEmit: true, composite: false, incremental: false, allowImportingTsExtensions: true };
    const options = { extends: join(root, "tsconfig.base.json"), compilerOptions, files };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(options));
    try {
      execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", folder], { stdio: "pipe" });
    } catch (error) {
      assert.fail(error instanceof Error && "stdout" in error ? String(error.stdout) : String(error));
    }
    assert.equal(files.length, 2);
  });

  it("begins with a server that answers, streams, refuses, and stops at SIGTERM", async (t) => {
    const port = await freePort();
    const file = join(folder, "server.ts");
    writeFileSync(file, (examples[0] ?? "").replace("50051", String(port)));
    const child = spawn(process.execPath, ["--conditions=tokenwire-source", file], { stdio: "inherit" });
    t.after(() => child.kill("SIGKILL"));
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    t.after(() => client.close());
    const serialize = (request: GreetRequest) => Buffer.from(GreetRequest.encode(request).finish());
    const greet = (name: string) =>
      new Promise<GreetReply | ServiceError>((resolve) => {
        const path = "/example.Greeter/Greet";
        const request = { name, times: 0 };
        const options = { deadline: Date.now() + 30_000 };
        client.makeUnaryRequest(path, serialize, GreetReply.decode, request, options, (error, reply) =>
          resolve(error ?? (reply as GreetReply)),
        );
      });
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 30_000, (error) => (error === undefined ? resolve() : reject(error)));
    });
    assert.deepEqual(await greet("you"), { text: "Hello, you" });
    assert.equal(((await greet("")) as ServiceError).code, status.INVALID_ARGUMENT);
    const path = "/example.Greeter/GreetOften";
    const often = client.makeServerStreamRequest(path, serialize, GreetReply.decode, { name: "you", times: 3 });
    const texts: string[] = [];
    for await (const { text } of often) texts.push(text);
    assert.deepEqual(texts, ["Hello 1, you", "Hello 2, you", "Hello 3, you"]);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
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
