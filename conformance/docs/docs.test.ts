import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { freePort } from "../harness/free-port.ts";
import { run } from "../harness/processes.ts";
import { root, type Server, startServer } from "../harness/server.ts";
import { gateway, grpcHealthProbe, grpcurl, program } from "../harness/tools.ts";
import { executedBlocks } from "./executed-blocks.ts";

const documents = globSync(["*.md", "docs/**/*.md"], { cwd: root }).sort();
const blocks = documents.flatMap((file) =>
  executedBlocks(readFileSync(join(root, file), "utf8")).map((block) => ({ file, ...block })),
);

let server: Server;
let healthPort: number;
let gatewayPort: number;
let gatewayMetricsPort: number;
before(async () => {
  [gatewayPort, gatewayMetricsPort] = [await freePort(), await freePort()];
  healthPort = await freePort();
  server = await startServer(["--health-port", String(healthPort)]);
});
after(() => server?.kill());

for (const { file, line, commands, exitCode, expected } of blocks) {
  test(`${file}:${line} does what it shows: ${commands.trim().split("\n")[0]}`, async () => {
    // The documents speak of the usual ports; here the server has free ones.
    const here = commands
      .replaceAll("localhost:50051", server.target)
      .replaceAll("localhost:50052", `${server.host}:${healthPort}`)
      .replaceAll("30000", String(gatewayPort))
      .replaceAll("29000", String(gatewayMetricsPort));
    const script = `set -eo pipefail\n${here}`;
    const tools = [program(grpcurl), program(grpcHealthProbe), program(gateway, "smg")].map((path) => dirname(path));
    const environment = {
      ...process.env,
      TOKENWIRE_ADDR: server.target,
      PATH: [join(root, "node_modules", ".bin"), ...tools, process.env.PATH].join(delimiter),
    };
    const { code, stdout, stderr } = await run("bash", ["-c", `cd "${root}"\n${script}`], { environment });
    const output = stdout + stderr;
    assert.equal(code, exitCode, output);
    for (const part of expected) assert.ok(output.includes(part), `"${part}" is not in the output:\n${output}`);
  });
}

test("the documents show how to probe, to generate and to list the services", () => {
  const all = blocks.map(({ commands }) => commands).join("\n");
  for (const shown of ["npx tokenwire probe", "npx tokenwire generate", "grpcurl -plaintext"]) {
    assert.ok(all.includes(shown), `no executed block has "${shown}"`);
  }
});

test("every link between the documents leads to a file", () => {
  for (const file of documents) {
    const markdown = readFileSync(join(root, file), "utf8");
    for (const [, target = ""] of markdown.matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      assert.ok(existsSync(join(root, dirname(file), target)), `${file} links to ${target}`);
    }
  }
});

for (const [command, chapter] of [
  ["serve", "Flags"],
  ["probe", "Probing"],
] as const) {
  test(`docs/serving.md has exactly the flags that ${command} --help has`, async () => {
    const bin = join(root, "packages", "server", "bin", "tokenwire.mjs");
    const { stdout } = await run(process.execPath, [bin, command, "--help"]);
    const told = new Set([...stdout.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)].map((match) => match[1]));
    const document = readFileSync(join(root, "docs", "serving.md"), "utf8");
    const text = document.split(/^## /m).find((part) => part.startsWith(`${chapter}\n`)) ?? "";
    const rows = [...text.matchAll(/^\| .*$/gm)].map(([row]) => row.split("|")[1] ?? "");
    const written = new Set(rows.flatMap((cell) => [...cell.matchAll(/--[a-z-]+[a-z]/g)].map(([flag]) => flag)));
    told.delete("--help");
    assert.deepEqual([...written].sort(), [...told].sort());
  });
}
