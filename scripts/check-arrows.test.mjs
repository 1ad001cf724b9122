import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { arrows, checkArrows, fences } from "./check-arrows.mjs";

const packageFiles = {
  "packages/grpc/package.json": '{ "name": "@tokenwire/grpc" }',
  "packages/health/package.json": '{ "name": "@tokenwire/health" }',
  "packages/server/package.json": '{ "name": "tokenwire" }',
};

/**
 * What the check says about a repository that holds these files.
 *
 * @param {Record<string, string>} files
 */
function findingsIn(files) {
  const root = mkdtempSync(join(tmpdir(), "tokenwire-arrows-"));
  try {
    for (const [path, text] of Object.entries({ ...packageFiles, ...files })) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return checkArrows(root).findings.map(({ file, line, sentence }) => `${file}:${line} ${sentence}`);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const server = "packages/server/src";
const forbidden = [
  ["an engine imports a service", `${server}/engines/llama/a.ts`, 'import "../../services/vllm-engine/generate.ts";'],
  ["an engine imports another engine", `${server}/engines/llama/a.ts`, 'import type { A } from "../mock/mock.ts";'],
  ["an engine imports the seam", `${server}/engines/mock/a.ts`, 'import "../../rpc/call.ts";'],
  ["a service imports an engine", `${server}/services/x/a.ts`, 'export * from "../../engines/llama/llama.ts";'],
  [
    "a service imports the transport",
    `${server}/services/x/a.ts`,
    'import "../../transport/tokenwire-grpc/server.ts";',
  ],
  ["the contract imports the log", `${server}/engine/engine.ts`, 'type L = import("../operations/log.ts").Log;'],
  ["the seam imports the contract", `${server}/rpc/call.ts`, 'import "../engine/errors.ts";'],
  ["a transport imports messages", `${server}/transport/tokenwire-grpc/a.ts`, 'import "../../generated/common.ts";'],
  [
    "the monitor imports a transport",
    `${server}/health/a.ts`,
    'const t = await import("../transport/tokenwire-grpc/a.ts");',
  ],
  ["the client imports a service", `${server}/client/a.ts`, 'import "../services/x/a.ts";'],
  ["a library imports the server", "packages/health/src/a.ts", 'import "tokenwire";'],
  ["a library reaches into the server's files", "packages/health/src/a.ts", 'import "../../server/src/rpc/call.ts";'],
  ["the monitor passes the library's face by", `${server}/health/a.ts`, 'import "../../../health/src/table.ts";'],
  ["the command line passes the library's face by", `${server}/cli/a.ts`, 'import "../../../health/src/table.ts";'],
  ["a service passes the seam by", `${server}/services/x/a.ts`, 'import { createServer } from "@tokenwire/grpc";'],
  ["a transport opens a socket itself", `${server}/transport/tokenwire-grpc/a.ts`, 'import "node:net";'],
  ["a service imports grpc-js", `${server}/services/x/a.ts`, 'import { Server } from "@grpc/grpc-js";'],
  ["the parent process imports native code", `${server}/engines/llama/llama.ts`, 'import "@node-llama-cpp/linux-x64";'],
  ["conformance imports the server's sources", "conformance/x/a.ts", `import "../../${server}/rpc/call.ts";`],
  ["a source imports a computed name", `${server}/cli/a.ts`, "await import(name);"],
];

for (const [what, file, source] of forbidden) {
  test(`it is reported when ${what}`, () => {
    const [finding, ...more] = findingsIn({ [/** @type {string} */ (file)]: /** @type {string} */ (source) });
    assert.match(finding ?? "", new RegExp(`^${file}:1 imports .+`));
    assert.deepEqual(more, []);
  });
}

const permitted = [
  [
    `${server}/engines/llama/a.ts`,
    'import "./b.ts"; import "../../engine/engine.ts"; import type { Log } from "../../operations/log.ts";',
  ],
  [`${server}/services/x/a.ts`, 'import "../../rpc/call.ts"; import "../../generated/common.ts"; import "../y/b.ts";'],
  [`${server}/health/a.ts`, 'import "@tokenwire/health"; import "../engine/state.ts";'],
  [`${server}/transport/tokenwire-grpc/a.ts`, 'import "@tokenwire/grpc"; import "../../rpc/server.ts";'],
  [`${server}/engines/llama/child/addon.ts`, 'import "@node-llama-cpp/linux-x64"; await import(path);'],
  [
    `${server}/cli/serve.ts`,
    'import "../engines/llama/llama.ts"; import "@tokenwire/health"; import "../lifecycle/stop.ts";',
  ],
  [`${server}/services/x/a.test.ts`, 'import "../../engines/mock/mock.ts"; import "@grpc/grpc-js";'],
  ["packages/health/src/a.ts", 'import "./b.ts"; import "node:events";'],
];

for (const [file, source] of permitted) {
  test(`nothing is reported for ${file}: ${source}`, () => {
    assert.deepEqual(findingsIn({ [/** @type {string} */ (file)]: /** @type {string} */ (source) }), []);
  });
}

test("a test may not import another engine than the scripted one", () => {
  const findings = findingsIn({ [`${server}/services/x/a.test.ts`]: 'import "../../engines/llama/llama.ts";' });
  assert.equal(findings.length, 1);
});

test("a file in a room without arrows is reported", () => {
  assert.match(findingsIn({ [`${server}/attic/a.ts`]: "" }).join(), /attic\/a\.ts:1 is in a room without arrows/);
});

test("every arrow and every fence has a reason", () => {
  for (const { because } of [...arrows, ...fences]) assert.ok(because.length > 20);
});
