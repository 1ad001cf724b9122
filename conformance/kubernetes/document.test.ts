import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../harness/processes.ts";
import { root } from "../harness/server.ts";
import { kubernetesValidate, program } from "../harness/tools.ts";
import { deployment, manifests } from "./manifests.ts";

const markdown = readFileSync(join(root, "docs", "kubernetes.md"), "utf8");
const blocks = [...markdown.matchAll(/^(?:<!-- (.*) -->\n)?```(sh|yaml)\n([\s\S]*?)^```$/gm)].map(
  ([, mark = "", language, text = ""]) => ({ mark, language, text }),
);
const version137 = "a probe of Kubernetes 1.37";

for (const { mark, text } of blocks.filter(({ language, mark }) => language === "yaml" && mark !== version137)) {
  test(`docs/kubernetes.md shows what ${mark || "no file"} has: ${text.trimStart().split("\n")[0]}`, () => {
    assert.ok(manifests.includes(mark), "a block of YAML says above it which manifest it is from");
    assert.ok(readFileSync(join(root, mark), "utf8").includes(`\n${text}`));
  });
}

test("docs/kubernetes.md names every manifest", () => {
  for (const file of manifests) assert.ok(markdown.includes(`](../${file})`), file);
});

test("a command in docs/kubernetes.md that is not executed needs a cluster, or is what these tests do", () => {
  for (const { mark, text } of blocks.filter(({ language }) => language === "sh")) {
    if (mark.startsWith("executed")) continue;
    for (const line of text.trimEnd().split("\n")) assert.match(line, /^(kubectl|pip install|kubernetes-validate) /);
  }
});

test("the probe over TLS is one of Kubernetes 1.37 and of no version before", async () => {
  const probe = blocks.find(({ mark }) => mark === version137)?.text ?? "";
  const indented = probe.replace(/^(?=.)/gm, "          ");
  const withProbe = readFileSync(deployment, "utf8").replace(/^ {10}livenessProbe:\n(?: {12}.*\n)+/m, indented);
  assert.ok(withProbe.includes("mode: TLS"));
  const folder = mkdtempSync(join(tmpdir(), "tokenwire-document-"));
  try {
    const file = join(folder, "deployment.yaml");
    writeFileSync(file, withProbe);
    const check = (version: string) =>
      run(program(kubernetesValidate, "kubernetes-validate"), ["--strict", "-k", version, file]);
    const [newest, before] = [await check("1.37"), await check("1.36")];
    assert.equal(newest.code, 0, newest.stdout + newest.stderr);
    assert.notEqual(before.code, 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
